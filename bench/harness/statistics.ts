/** Order statistics over a handful of rounds. */

import type { Better, SubjectReport } from './types.ts';

/**
 * The middle value, or the mean of the two middle values.
 *
 * @throws {RangeError} when there are no values.
 */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('median of no values');
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] as number;
  if (sorted.length % 2 === 1) return upper;
  return ((sorted[(sorted.length >> 1) - 1] as number) + upper) / 2;
}

/** Figures of the rounds that succeeded. */
export function valuesOf(report: SubjectReport): number[] {
  return report.runs.filter((run) => run !== undefined).map((run) => run.value);
}

/**
 * How many times better `ours` is than `peer`: above 1 means that ours is better, whatever the unit.
 *
 * The median of the ratios of each round, not the ratio of the medians: both runs of a round are
 * seconds apart, so what slows the whole machine for a minute slows both and cancels out.
 *
 * @returns `undefined` when no round has both figures.
 */
export function ratioOf(
  ours: SubjectReport,
  peer: SubjectReport,
  better: Better,
): number | undefined {
  const ratios: number[] = [];
  ours.runs.forEach((run, round) => {
    const other = peer.runs[round];
    if (run === undefined || other === undefined) return;
    ratios.push(better === 'higher' ? run.value / other.value : other.value / run.value);
  });
  return ratios.length === 0 ? undefined : median(ratios);
}
