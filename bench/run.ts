/** `npm run bench [-- CASE...]`: measures annulus against its peers, on this machine, in one run. */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { allCases, casesNamed } from './cases/index.ts';
import { DataFile, dataDirectoryWarning } from './harness/data-file.ts';
import { killRunningSubjects } from './harness/execute.ts';
import { cpuReportOf } from './harness/cpu.ts';
import { describeMachine } from './harness/machine.ts';
import { planPins } from './harness/placement.ts';
import { collectResults } from './harness/results.ts';
import { runCase, type Session } from './harness/rounds.ts';
import { describe, formatReport } from './harness/table.ts';
import type { BenchmarkCase, CaseReport, Placement } from './harness/types.ts';

const HELP = `Usage: npm run bench -- [CASE...] [options]

CASE is the name of a case or the beginning of one: uring, channel.rtt. Default: all cases.

Options:
  --rounds N          runs of each subject, interleaved (default: 5)
  --placement WHICH   pinned, unpinned or both (default: both)
  --json FILE         also write the figures to FILE
  --list              print the cases and stop
  --help              print this and stop

Each ratio says how many times better annulus is than the peer: above 1 is better, whatever the
unit. It is the median of the ratios of each round. A case whose name ends in .cpu is the CPU time
of a unit, measured together with the case without that ending. ANNULUS_BENCH_DIR chooses where the 64 MiB
data file goes (default: the directory for temporary files).
`;

const DEFAULT_ROUNDS = 5;

interface Request {
  readonly cases: readonly BenchmarkCase[];
  readonly rounds: number;
  readonly placements: readonly Placement[];
  readonly json: string | undefined;
}

class UsageError extends Error {}

/** What the command line asks for, or `undefined` when it only asked for a text to be printed. */
function parseCommandLine(): Request | undefined {
  const { values, positionals } = parseCommandLineArguments();
  if (values.help === true) {
    process.stdout.write(HELP);
    return undefined;
  }
  const cases = selectCases(positionals);
  if (values.list === true) {
    for (const { name, measures } of cases) process.stdout.write(`${name.padEnd(28)}${measures}\n`);
    return undefined;
  }
  return {
    cases,
    rounds: parseRounds(values.rounds),
    placements: parsePlacement(values.placement ?? 'both'),
    json: values.json,
  };
}

// No return type: it follows from the options, which is what makes `values` typed.
function parseCommandLineArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        placement: { type: 'string' },
        json: { type: 'string' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function selectCases(patterns: readonly string[]): readonly BenchmarkCase[] {
  if (patterns.length === 0) return allCases;
  const chosen = new Set<BenchmarkCase>();
  for (const pattern of patterns) {
    const matching = casesNamed(pattern);
    if (matching.length === 0) {
      throw new UsageError(`no case is named "${pattern}" or begins with it; try --list`);
    }
    for (const benchmark of matching) chosen.add(benchmark);
  }
  return [...chosen];
}

function parseRounds(text: string | undefined): number {
  const rounds = text === undefined ? DEFAULT_ROUNDS : Number(text);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new UsageError(`--rounds must be a whole number above 0, got "${text}"`);
  }
  return rounds;
}

function parsePlacement(text: string): readonly Placement[] {
  if (text === 'both') return ['unpinned', 'pinned'];
  if (text === 'pinned' || text === 'unpinned') return [text];
  throw new UsageError(`--placement must be pinned, unpinned or both, got "${text}"`);
}

/** A line on a terminal that the next one replaces; nothing elsewhere. */
function showProgress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
}

async function runCases(request: Request, session: Session): Promise<CaseReport[]> {
  const reports: CaseReport[] = [];
  for (const benchmark of request.cases) {
    for (const placement of benchmark.placements) {
      if (!request.placements.includes(placement)) continue;
      const report = await runCase(benchmark, placement, session);
      showProgress('');
      const cpuReport = cpuReportOf(report);
      for (const metric of cpuReport === undefined ? [report] : [report, cpuReport]) {
        process.stdout.write(`${formatReport(metric)}\n`);
        reports.push(metric);
      }
    }
  }
  return reports;
}

/** Runs what was asked for and returns the exit code: 1 when a subject failed. */
async function main(): Promise<number> {
  const request = parseCommandLine();
  if (request === undefined) return 0;

  let file: DataFile | undefined;
  const pins = planPins();
  const machine = describeMachine(pins);
  const session: Session = {
    rounds: request.rounds,
    pins,
    dataFile: () => (file ??= new DataFile()),
    progress: showProgress,
  };
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => {
      killRunningSubjects();
      file?.remove();
      process.exit(code);
    });
  }

  process.stdout.write(`${describe(machine)}\n`);
  const warning = dataDirectoryWarning();
  if (warning !== undefined) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write('\n');
  try {
    const results = collectResults(machine, await runCases(request, session));
    if (request.json !== undefined) {
      writeFileSync(request.json, `${JSON.stringify(results, undefined, 2)}\n`);
    }
    return results.omissions.some((omission) => omission.kind === 'failed') ? 1 : 0;
  } finally {
    file?.remove();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
