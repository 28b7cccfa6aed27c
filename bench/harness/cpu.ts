/** The second metric of a case: CPU time of a unit. */

import type { CaseReport, Run, SubjectReport } from './types.ts';

/** Ends the name of the case that holds the second metric. */
export const CPU_SUFFIX = '.cpu';

/**
 * The same rounds as CPU time, under the name of the case with `.cpu`: user and system time of the
 * subject's process in the window, in nanoseconds a unit; `undefined` when no subject reported it.
 *
 * Throughput alone hides a second CPU at work, be it a worker thread or a kernel thread that polls.
 */
export function cpuReportOf(report: CaseReport): CaseReport | undefined {
  const { benchmark, placement } = report;
  const subjects = report.subjects.map(inCpuTime);
  if (!subjects.some(({ runs }) => runs.some((run) => run !== undefined))) return undefined;
  const { limit: _, ...rest } = benchmark;
  return {
    benchmark: {
      ...rest,
      name: benchmark.name + CPU_SUFFIX,
      measures: `CPU time of one of: ${benchmark.measures}`,
      unit: 'ns',
      better: 'lower',
      gates: benchmark.cpuGates ?? [],
    },
    placement,
    subjects,
  };
}

function inCpuTime({ subject, runs }: SubjectReport): SubjectReport {
  return { subject, runs: runs.map(cpuRun) };
}

function cpuRun(run: Run | undefined): Run | undefined {
  const cpu = run?.extra['cpu'];
  return typeof cpu === 'number' && cpu > 0 ? { value: cpu, extra: {} } : undefined;
}
