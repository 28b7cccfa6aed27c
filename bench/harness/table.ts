/** The human-readable result of a run. */

import type { Machine } from './machine.ts';
import { ratiosOf, resultsOf, type Ratio, type Result } from './results.ts';
import type { CaseReport, SubjectOptions } from './types.ts';

const PREFIXES = [
  { factor: 1e9, prefix: 'G' },
  { factor: 1e6, prefix: 'M' },
  { factor: 1e3, prefix: 'k' },
  { factor: 1, prefix: '' },
] as const;

/** Where the figures come from, in two lines. */
export function describe(machine: Machine): string {
  const { one, two } = machine.pinned;
  const pins =
    typeof one === 'string' ? `none (${one})` : `CPU ${one.join(',')} or ${pinText(two)}`;
  return [
    `${machine.cpu}, ${machine.cores} CPUs, ${machine.kernel}, Node ${machine.node}`,
    `pinned: ${pins}; load ${machine.load.toFixed(2)}; ${machine.date}`,
  ].join('\n');
}

/** The table of one case in one placement. */
export function formatReport(report: CaseReport): string {
  const { benchmark, placement } = report;
  const title = `${benchmark.name} [${placement}] ${benchmark.unit}, ${benchmark.better} is better`;
  if (report.skipped !== undefined) return `${title}\n  skipped: ${report.skipped}\n`;
  const results = new Map(resultsOf(report).map((result) => [result.subject, result]));
  const ratios = ratiosOf(report);
  const ours = results.get('annulus');
  const lines = report.subjects.flatMap(({ subject, failed, skipped }) => {
    const result = results.get(subject);
    const toThis = ratios.filter(({ peer }) => peer === subject);
    const row = result === undefined ? [] : [formatRow(result, toThis, ours?.extra)];
    if (failed !== undefined) row.push(`  ${subject}: FAILED, ${failed}`);
    if (skipped !== undefined) row.push(`  ${subject}: skipped, ${skipped}`);
    return row;
  });
  const verdict = limitVerdict(report, ours);
  return [title, HEADING, ...lines, ...verdict, ''].join('\n');
}

const WIDTHS = [18, 10, 10, 10, 12] as const;
const HEADING: string = columns(['', 'median', 'min', 'max', 'annulus is']);

function formatRow(
  result: Result,
  ratios: readonly Ratio[],
  ourExtra: SubjectOptions | undefined,
): string {
  const figures = [result.median, result.min, result.max].map(formatFigure);
  const [ratio, ...others] = ratios;
  const times = ratio === undefined ? '' : `${formatRatio(ratio.ratio)} x`;
  const notes = [
    gateVerdict(ratio),
    ...others.flatMap((other) => [
      `${other.subject} is ${formatRatio(other.ratio)} x`,
      gateVerdict(other),
    ]),
    formatExtra(result.extra, ratio && ourExtra),
  ].filter((note) => note !== '');
  return `${columns([result.subject, ...figures, times])}  ${notes.join('; ')}`.trimEnd();
}

function columns(cells: readonly string[]): string {
  const padded = cells.map((cell, index) => {
    const width = WIDTHS[index] ?? 0;
    return index === 0 ? cell.padEnd(width) : cell.padStart(width);
  });
  return `  ${padded.join('')}`;
}

function gateVerdict(ratio: Ratio | undefined): string {
  if (ratio?.gate === undefined) return '';
  return ratio.ratio >= ratio.gate ? `goal ${ratio.gate} met` : `BELOW the goal of ${ratio.gate}`;
}

function limitVerdict({ benchmark }: CaseReport, ours: Result | undefined): string[] {
  const { limit, unit } = benchmark;
  if (limit === undefined || ours === undefined) return [];
  const verdict = ours.median <= limit ? 'met' : 'MISSED';
  return [`  limit for annulus: ${limit} ${unit}, ${verdict}`];
}

/** All numbers; of the facts, such as ring flags, those in which a peer differs from annulus. */
function formatExtra(extra: SubjectOptions, ours: SubjectOptions | undefined): string {
  return Object.entries(extra)
    .filter(([key, value]) => {
      if (typeof value === 'number' || ours === undefined) return true;
      return ours[key] !== undefined && ours[key] !== value;
    })
    .map(([key, value]) => `${key} ${typeof value === 'number' ? formatFigure(value) : value}`)
    .join(', ');
}

/** Four significant digits, with a prefix: `1.532M`. */
export function formatFigure(value: number): string {
  const scale = PREFIXES.find(({ factor }) => value >= factor);
  if (scale === undefined) return value.toPrecision(3);
  return `${Number((value / scale.factor).toPrecision(4))}${scale.prefix}`;
}

function formatRatio(ratio: number): string {
  return ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(3);
}

function pinText(cpus: readonly number[] | string): string {
  return typeof cpus === 'string' ? `no pair (${cpus})` : `CPUs ${cpus.join(',')}`;
}
