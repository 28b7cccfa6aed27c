/**
 * `annulus channels`: the channels between processes here, how full they are and how fast.
 */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import { EXIT } from '../failure.ts';
import { discover } from './discover.ts';
import { table } from './report.ts';
import { sample } from './sample.ts';
import type { Look } from './sample.ts';

const INTERVAL_MS = 1_000;
const INTERVAL_MS_MIN = 50;
const INTERVAL_MS_MAX = 3_600_000;

/** Terminal: to the upper left corner; erase from there on; hide and show the cursor. */
const HOME = '\x1b[H';
const ERASE = '\x1b[J';
const HIDE = '\x1b[?25l\x1b[2J';
const SHOW = '\x1b[?25h';

const HELP = `
On a terminal the table is shown anew every second, until Ctrl-C. Otherwise, and with --json, it is printed once,
after an interval in which the rates were measured.

A channel is found by the processes that hold its memory; those of other users can be looked into
only by the superuser. Channels between threads over a SharedArrayBuffer are not seen. A side that says it is
attached while no process of that id holds the memory is shown as gone.
`;

interface Options {
  readonly json?: true;
  readonly interval: number;
}

/**
 * Adds the verb.
 *
 * @param finish - Gets the exit code.
 */
export function registerChannels(program: Command, finish: (code: number) => void): void {
  program
    .command('channels')
    .description('Show the channels between processes here: fill level, rates, both processes.')
    .option('--json', 'print one JSON object')
    .option('--interval <ms>', 'milliseconds between two looks', parseInterval, INTERVAL_MS)
    .addHelpText('after', HELP)
    .action(async (options: Options) => {
      const isLive = options.json !== true && process.stdout.isTTY;
      finish(await (isLive ? watch(options.interval) : printOnce(options)));
    });
}

function look(): Look {
  return { discovery: discover(), at: performance.now() };
}

async function printOnce({ interval, json }: Options): Promise<number> {
  const before = look();
  await delay(interval);
  const now = look();
  const channels = sample(now, before);
  const { hidden } = now.discovery;
  process.stdout.write(
    json === true
      ? `${JSON.stringify({ intervalMs: now.at - before.at, channels, hiddenProcesses: hidden }, null, 2)}\n`
      : table(channels, hidden),
  );
  return EXIT.DONE;
}

/** Shows the table until a signal comes. Ctrl-C is how one leaves it, and no failure. */
async function watch(interval: number): Promise<number> {
  const stop = new AbortController();
  let code: number = EXIT.DONE;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGINT') code = 128 + constants.signals[signal];
    stop.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, onSignal);
  process.stdout.write(HIDE);
  try {
    let before: Look | undefined;
    while (!stop.signal.aborted) {
      const now = look();
      const text = table(sample(now, before), now.discovery.hidden);
      // Each line is erased to its end: a shorter one leaves nothing of a longer one.
      process.stdout.write(`${HOME}${text.replaceAll('\n', '\x1b[K\n')}${ERASE}`);
      before = now;
      await delay(interval, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  } finally {
    process.stdout.write(SHOW);
    for (const signal of signals) process.off(signal, onSignal);
  }
  return code;
}

function parseInterval(text: string): number {
  const interval = Number(text);
  if (!(interval >= INTERVAL_MS_MIN && interval <= INTERVAL_MS_MAX)) {
    throw new InvalidArgumentError(`It must be from ${INTERVAL_MS_MIN} to ${INTERVAL_MS_MAX}.`);
  }
  return interval;
}
