/**
 * `annulus pipe send NAME` and `annulus pipe receive NAME`: a pipe between unrelated processes.
 */
import { constants } from 'node:os';

import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import { codeOf, CommandError, EXIT, failed, interrupted, messageOf } from '../failure.ts';
import { parseName } from '../names.ts';
import { formatBytes, formatCount, parseBytes } from '../units.ts';
import { openIo, outputGone, receiveOutput, sendInput } from './carry.ts';
import { meet } from './meet.ts';
import type { Met, Side } from './meet.ts';

const DEFAULT_MEMORY = 1024 * 1024;
const MEMORY_MIN = 4096;
const MEMORY_MAX = 2 ** 30;

/** What a shell reports of a process that was ended for writing where nobody reads. */
const BROKEN_PIPE = 128 + constants.signals.SIGPIPE;

const HELP = `
Whoever comes first waits for the other; both must be of the same user. NAME is any word, or the path of a
socket that will be made, if it has a slash: two containers meet at a path they share. One sender and
one receiver meet, then the name is free again.

The bytes go through shared memory; a sender that is faster waits. Exit code: 0 every byte of the
sender's input is in the receiver's output; 1 failed, standard error says why and how far it came; 2 nothing was
tried; 130, 143 interrupted; 141 nobody reads the receiver's output any more.
`;

interface Options {
  readonly memory: number;
}

/**
 * Adds the verb.
 *
 * @param finish - Gets the exit code.
 */
export function registerPipe(program: Command, finish: (code: number) => void): void {
  const pipe = program
    .command('pipe')
    .description('Carry bytes between two unrelated processes through shared memory.')
    .addHelpText('after', HELP);
  const add = (verb: string, side: Side, description: string): void => {
    pipe
      .command(verb)
      .description(description)
      .argument('NAME', 'where both sides meet: any word, or a path with a slash', parseName)
      .option(
        '--memory <bytes>',
        'most bytes under way, such as 64K or 8M, said by who comes first',
        parseMemory,
        DEFAULT_MEMORY,
      )
      .addHelpText('after', HELP)
      .action(async (name: string, options: Options) => {
        finish(await run(verb, name, side, options));
      });
  };
  add('send', 'sender', 'Send standard input to whoever receives under this name.');
  add('receive', 'receiver', 'Write to standard output what is sent under this name.');
}

/** Carries everything; resolves to the exit code. */
async function run(verb: string, name: string, side: Side, options: Options): Promise<number> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void =>
    stop.abort(interrupted(signal, constants.signals[signal]));
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, onSignal);
  try {
    await carry(name, side, options, stop);
    return EXIT.DONE;
  } catch (error) {
    const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
    if (codeOf(reason) === 'EPIPE') return BROKEN_PIPE;
    process.stderr.write(`annulus pipe ${verb}: ${messageOf(failed('it failed', reason))}.\n`);
    return reason instanceof CommandError ? reason.exitCode : EXIT.FAILED;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

async function carry(
  name: string,
  side: Side,
  { memory }: Options,
  stop: AbortController,
): Promise<void> {
  const { signal } = stop;
  const onWait = (): void => {
    const other = side === 'sender' ? 'receiver' : 'sender';
    if (process.stderr.isTTY) process.stderr.write(`waiting for a ${other} at '${name}'\n`);
  };
  const met = await meet({ name, side, memory, signal, onWait });
  const io = openIo();
  const over = new AbortController();
  let bytes = 0;
  const onBytes = (count: number): void => {
    bytes += count;
  };
  try {
    if (met.sender !== undefined) await sendInput(met.sender, { io, signal, onBytes });
    if (met.receiver !== undefined) {
      watchOutput(outputGone(io, over.signal), stop);
      await receiveOutput(met.receiver, { io, signal, onBytes });
    }
  } catch (error) {
    throw explain(error, met, bytes);
  } finally {
    over.abort();
    // Without the requests that still use its memory.
    await io?.close();
    met.sender?.close();
    met.receiver?.close();
  }
}

/** Gives up when nobody reads the output, which a receiver without anything to write would not see. */
function watchOutput(gone: Promise<void>, stop: AbortController): void {
  gone.then(
    () => stop.abort(Object.assign(new Error('nobody reads the output'), { code: 'EPIPE' })),
    () => undefined, // it cannot be told here, or all is over
  );
}

/** Says what became of the other side, and how far it came. */
function explain(error: unknown, { sender, pid }: Met, bytes: number): unknown {
  const [done, other] = sender === undefined ? ['received', 'sender'] : ['sent', 'receiver'];
  const far = `after ${formatCount(bytes, 'byte')} had been ${done}`;
  const code = codeOf(error);
  if (code === 'ERR_ANNULUS_PEER_DIED') {
    const how = `ended without a word ${far} (${code})`;
    return new CommandError(`the ${other} (process ${pid}) ${how}`, { cause: error });
  }
  if (code !== 'ERR_ANNULUS_PEER_CLOSED') return error;
  return new CommandError(`the ${other} (process ${pid}) gave up ${far}`, { cause: error });
}

function parseMemory(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes < MEMORY_MIN || bytes > MEMORY_MAX) {
    throw new InvalidArgumentError(
      `It must be from ${formatBytes(MEMORY_MIN)} to ${formatBytes(MEMORY_MAX)}, such as 64K or 8M.`,
    );
  }
  return bytes;
}
