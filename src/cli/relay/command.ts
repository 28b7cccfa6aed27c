/**
 * `annulus relay SRC DST`: from one process to another, and checked.
 */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import { EXIT, messageOf, CommandError } from '../failure.ts';
import { parseName } from '../names.ts';
import { openFileIo } from './file-io.ts';
import { MEMORY_MAX, MEMORY_MIN } from './limits.ts';
import { makePlan } from './plan.ts';
import type { Plan } from './plan.ts';
import { showProgress } from './progress.ts';
import { jsonReport, textReport } from './report.ts';
import type { Comparison } from './report.ts';
import { relay } from './session.ts';
import { relayByStreams } from './streams.ts';
import { formatBytes, parseBytes } from '../units.ts';

const DEFAULT_MEMORY = 8 * 1024 * 1024;

const HELP = `
One process reads SRC through io_uring straight into memory it shares with another, which writes it
from there. Both hash what they handle (SHA-256), and the copy is read back before it gets its name.

A copied file replaces DST, or goes into it if it is a directory. A directory is copied to a new or an
empty one. Mode bits and symbolic links are kept; owner, times, extended attributes, holes and hard
links are not. The copy is not forced to the disk (no fsync).

Exit code: 0 the bytes at DST match; 1 failed, nothing is left behind; 2 nothing was tried;
130, 143 interrupted, nothing is left behind.
`;

interface Options {
  readonly memory: number;
  readonly json?: true;
  readonly compare: boolean;
}

/**
 * Adds the verb.
 *
 * @param finish - Gets the exit code.
 */
export function registerRelay(program: Command, finish: (code: number) => void): void {
  program
    .command('relay')
    .description('Copy a file or a directory from one process to another, and check the copy.')
    .argument('SRC', 'a regular file or a directory', parseName)
    .argument('DST', 'where the copy goes', parseName)
    .option(
      '--memory <bytes>',
      'most data in flight between the processes, such as 512K or 8M',
      parseMemory,
      DEFAULT_MEMORY,
    )
    .option('--no-compare', 'do not do the same job by fs streams afterwards')
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .action(async (src: string, dst: string, options: Options) => {
      try {
        await run(src, dst, options);
        finish(EXIT.DONE);
      } catch (error) {
        process.stderr.write(`annulus relay: ${messageOf(error)}.\n`);
        finish(error instanceof CommandError ? error.exitCode : EXIT.FAILED);
      }
    });
}

async function run(src: string, dst: string, options: Options): Promise<void> {
  const io = openFileIo();
  const plan = makePlan(src, dst);
  const progress = showProgress(plan.bytes, process.stderr);
  const outcome = await relay({ plan, memory: options.memory, io, watcher: progress }).finally(() =>
    progress.end(),
  );
  const comparison = options.compare ? await compare(plan) : { skipped: '' };
  const facts = { plan, outcome, memory: options.memory, comparison };
  const text =
    options.json === true ? `${JSON.stringify(jsonReport(facts), null, 2)}\n` : textReport(facts);
  process.stdout.write(text);
}

/** The copy is made and checked: whatever happens here does not change that. */
async function compare(plan: Plan): Promise<Comparison> {
  try {
    return { seconds: await relayByStreams(plan) };
  } catch (error) {
    if (error instanceof CommandError && error.exitCode > 128) throw error;
    return { skipped: messageOf(error) };
  }
}

function parseMemory(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes < MEMORY_MIN || bytes > MEMORY_MAX) {
    throw new InvalidArgumentError(
      `It must be from ${formatBytes(MEMORY_MIN)} to ${formatBytes(MEMORY_MAX)}, such as 512K or 8M.`,
    );
  }
  return bytes;
}
