/** Arguments of a subject: `key=value` pairs, as the harness passes them. */

const values: ReadonlyMap<string, string> = new Map(
  process.argv.slice(2).map((argument) => {
    const at = argument.indexOf('=');
    if (at <= 0) throw new TypeError(`expected key=value, got "${argument}"`);
    return [argument.slice(0, at), argument.slice(at + 1)] as const;
  }),
);

/** The option `name`; without `fallback` it is required. */
export function textOption(name: string, fallback?: string): string {
  const value = values.get(name) ?? fallback;
  if (value === undefined) throw new TypeError(`the option ${name}=... is missing`);
  return value;
}

/** The option `name` as a number; without `fallback` it is required. */
export function numberOption(name: string, fallback?: number): number {
  const text = textOption(name, fallback?.toString());
  const value = Number(text);
  if (text === '' || !Number.isFinite(value)) {
    throw new TypeError(`the option ${name} must be a number, got "${text}"`);
  }
  return value;
}

/** The CPUs this subject is pinned to, empty when it is not pinned. */
export function pinnedCpus(): number[] {
  const list = textOption('cpus', '');
  return list === '' ? [] : list.split(',').map(Number);
}

/** Seconds of work before the timed window: compiles the hot code and fills the caches. */
export function warmupSeconds(): number {
  return numberOption('warmup', 0.3);
}

/** Seconds of the timed window. */
export function windowSeconds(): number {
  return numberOption('window', 0.5);
}
