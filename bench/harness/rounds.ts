/** Runs a case: every subject once a round, in turn, for several rounds. */

import type { DataFile } from './data-file.ts';
import { execute, type Command } from './execute.ts';
import { buildForeign } from './foreign.ts';
import { compile, type Compiled } from './native.ts';
import { SUBJECTS } from './paths.ts';
import { cpusFor, type PinPlan } from './placement.ts';
import type {
  BenchmarkCase,
  CaseReport,
  Placement,
  Run,
  Subject,
  SubjectOptions,
  SubjectReport,
} from './types.ts';

/** What the cases of one run of the harness share. */
export interface Session {
  readonly rounds: number;
  readonly pins: PinPlan;
  /** The file of the hot-cache cases, created by the first of them. */
  readonly dataFile: () => DataFile;
  /** Told what runs now, for a progress line. */
  readonly progress: (what: string) => void;
}

/** A subject that is being measured; `failed` or `skipped` once it cannot be. */
interface Candidate {
  readonly subject: Subject;
  readonly command?: Command;
  readonly runs: (Run | undefined)[];
  skipped?: string;
  failed?: string;
}

/**
 * Measures all subjects of `benchmark` in one placement.
 *
 * Rounds interleave the subjects (A B C C B A), so that what changes on the machine in the meantime
 * (clock rate, page cache, a neighbour) meets all of them, and none is always the first.
 */
export async function runCase(
  benchmark: BenchmarkCase,
  placement: Placement,
  session: Session,
): Promise<CaseReport> {
  const cpus = cpusFor(session.pins, placement, benchmark.threads);
  if (typeof cpus === 'string') return { benchmark, placement, skipped: cpus, subjects: [] };

  const candidates = benchmark.subjects.map((subject) =>
    prepare(subject, cpus, commonOptions(benchmark, cpus, session)),
  );
  const rounds = session.rounds * (benchmark.turns ?? 1);
  for (let round = 0; round < rounds; round++) {
    for (const candidate of round % 2 === 0 ? candidates : candidates.toReversed()) {
      const { name } = candidate.subject;
      session.progress(`${benchmark.name} ${placement}, round ${round + 1}: ${name}`);
      candidate.runs.push(await runOnce(candidate, benchmark, session));
    }
  }
  return { benchmark, placement, subjects: candidates.map(finish) };
}

function commonOptions(
  benchmark: BenchmarkCase,
  cpus: readonly number[],
  session: Session,
): SubjectOptions {
  return {
    ...(benchmark.readsDataFile === true && { file: session.dataFile().path }),
    ...(benchmark.windowSeconds !== undefined && { window: benchmark.windowSeconds }),
    ...(cpus.length > 0 && { cpus: cpus.join(',') }),
  };
}

function prepare(subject: Subject, cpus: readonly number[], common: SubjectOptions): Candidate {
  const candidate: Candidate = { subject, runs: [] };
  const helper = helperOf(subject);
  if (helper !== undefined && helper.kind !== 'ready') {
    return { ...candidate, [helper.kind]: helper.reason };
  }
  const merged = { ...common, ...subject.options, ...(helper && { helper: helper.path }) };
  const options = Object.entries(merged).map(([key, value]) => `${key}=${value}`);
  if (subject.kind === 'node') {
    const script = `${SUBJECTS}${subject.script}.js`;
    return { ...candidate, command: pin([process.execPath, script, ...options], cpus) };
  }
  const program = subject.kind === 'native' ? compile(subject) : buildForeign(subject);
  if (program.kind === 'ready') {
    return { ...candidate, command: pin([program.path, ...options], cpus) };
  }
  return { ...candidate, [program.kind]: program.reason };
}

function helperOf(subject: Subject): Compiled | undefined {
  if (!('helper' in subject) || subject.helper === undefined) return undefined;
  return compile({ kind: 'native', name: subject.helper, program: subject.helper });
}

/** The measured thread starts on the first CPU; its partner moves itself to the second. */
function pin(words: readonly string[], cpus: readonly number[]): Command {
  const [file = '', ...rest] =
    cpus.length === 0 ? words : ['taskset', '-c', String(cpus[0]), ...words];
  return { file, arguments: rest };
}

async function runOnce(
  candidate: Candidate,
  benchmark: BenchmarkCase,
  session: Session,
): Promise<Run | undefined> {
  const { command } = candidate;
  if (command === undefined || candidate.skipped !== undefined || candidate.failed !== undefined) {
    return undefined;
  }
  if (benchmark.readsDataFile === true) session.dataFile().warm();
  const outcome = await execute(command);
  if (outcome.kind === 'value') return outcome.run;
  candidate[outcome.kind] = outcome.reason;
  return undefined;
}

function finish({ subject, runs, skipped, failed }: Candidate): SubjectReport {
  return {
    subject: subject.name,
    runs,
    ...(skipped !== undefined && { skipped }),
    ...(failed !== undefined && { failed }),
  };
}
