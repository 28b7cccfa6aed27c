/** The one line on standard output by which a subject reports to the harness. */

/** Reports a figure; `extra` is kept beside it. */
export function report(
  value: number,
  unit: string,
  extra: Readonly<Record<string, number | string>> = {},
): void {
  process.stdout.write(`${JSON.stringify({ value, unit, ...extra })}\n`);
}

/** Reports that the subject cannot run on this machine. */
export function reportSkip(reason: string): void {
  process.stdout.write(`${JSON.stringify({ skip: reason })}\n`);
}
