/** The machine-readable result of a run. */

import type { Machine } from './machine.ts';
import { median, ratioOf, valuesOf } from './statistics.ts';
import type {
  BenchmarkCase,
  CaseReport,
  Placement,
  Run,
  SubjectOptions,
  SubjectReport,
} from './types.ts';

export interface Result {
  readonly case: string;
  readonly placement: Placement;
  readonly subject: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** The figure of every round that succeeded, in order. */
  readonly runs: readonly number[];
  /** Further fields of the subject's report; numbers are medians. */
  readonly extra: SubjectOptions;
}

/** How many times better annulus is than the peer: always above 1 when it is better. */
export interface Ratio {
  readonly case: string;
  readonly placement: Placement;
  readonly subject: string;
  readonly peer: string;
  readonly ratio: number;
  /** The ratio that the project promises, where it promises one. */
  readonly gate?: number;
}

/** What could not be measured, and why. Without a subject it is the whole placement. */
export interface Omission {
  readonly case: string;
  readonly placement: Placement;
  readonly subject?: string;
  readonly kind: 'skipped' | 'failed';
  readonly reason: string;
}

export interface Results {
  readonly machine: Machine;
  readonly results: readonly Result[];
  readonly ratios: readonly Ratio[];
  readonly omissions: readonly Omission[];
}

export function collectResults(machine: Machine, reports: readonly CaseReport[]): Results {
  return {
    machine,
    results: reports.flatMap(resultsOf),
    ratios: reports.flatMap(ratiosOf),
    omissions: reports.flatMap(omissionsOf),
  };
}

export function resultsOf({ benchmark, placement, subjects }: CaseReport): Result[] {
  return subjects
    .filter((report) => valuesOf(report).length > 0)
    .map((report) => {
      const runs = valuesOf(report);
      return {
        case: benchmark.name,
        placement,
        subject: report.subject,
        unit: benchmark.unit,
        median: median(runs),
        min: Math.min(...runs),
        max: Math.max(...runs),
        runs,
        extra: summarizeExtra(report),
      };
    });
}

export function ratiosOf({ benchmark, placement, subjects }: CaseReport): Ratio[] {
  const alsoOurs = benchmark.alsoOurs ?? [];
  const isOurs = (report: SubjectReport): boolean =>
    report === subjects[0] || alsoOurs.includes(report.subject);
  const ours = subjects.filter(isOurs);
  const peers = subjects.filter((report) => !isOurs(report));
  return ours.flatMap((our) => ratiosToPeers(benchmark, placement, our, peers));
}

function ratiosToPeers(
  benchmark: BenchmarkCase,
  placement: Placement,
  ours: SubjectReport,
  peers: readonly SubjectReport[],
): Ratio[] {
  const ratios: Ratio[] = [];
  for (const peer of peers) {
    const ratio = ratioOf(ours, peer, benchmark.better);
    if (ratio === undefined) continue;
    const gate = benchmark.gates?.find(
      (candidate) =>
        candidate.peer === peer.subject && (candidate.subject ?? 'annulus') === ours.subject,
    );
    ratios.push({
      case: benchmark.name,
      placement,
      subject: ours.subject,
      peer: peer.subject,
      ratio,
      ...(gate !== undefined && { gate: gate.atLeast }),
    });
  }
  return ratios;
}

function omissionsOf({ benchmark, placement, skipped, subjects }: CaseReport): Omission[] {
  const where = { case: benchmark.name, placement };
  const omissions: Omission[] = [];
  if (skipped !== undefined) omissions.push({ ...where, kind: 'skipped', reason: skipped });
  for (const report of subjects) {
    for (const kind of ['skipped', 'failed'] as const) {
      const reason = report[kind];
      if (reason !== undefined) omissions.push({ ...where, subject: report.subject, kind, reason });
    }
  }
  return omissions;
}

/** Medians of numbers; of texts, which are facts such as ring flags, the last. */
function summarizeExtra(report: SubjectReport): SubjectOptions {
  const runs: Run[] = report.runs.filter((run) => run !== undefined);
  const summary: Record<string, number | string> = {};
  for (const [key, last] of Object.entries(runs.at(-1)?.extra ?? {})) {
    if (key === 'unit' || key === 'cpu') continue; // of the second metric: cpu.ts
    const values = runs.map((run) => run.extra[key]).filter((value) => typeof value === 'number');
    summary[key] = typeof last === 'number' ? median(values) : last;
  }
  return summary;
}
