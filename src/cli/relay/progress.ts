/**
 * Progress: a bar on a terminal, a few plain lines otherwise; always on standard error.
 */
import { SingleBar } from 'cli-progress';

import type { Phase, Watcher } from './session.ts';
import { formatBytes } from '../units.ts';

const LABELS: Readonly<Record<Phase, string>> = {
  relay: 'relaying ',
  verify: 'verifying',
  commit: 'renaming ',
};

/** How often a plain line is printed at most, in milliseconds. */
const PLAIN_EVERY_MS = 5_000;

/** What shows progress, and takes it away at the end. */
export interface Progress extends Watcher {
  end(): void;
}

/** @param total - Bytes of each phase. */
export function showProgress(total: number, stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? bar(total, stream) : plainLines(total, stream);
}

function bar(total: number, stream: NodeJS.WriteStream): Progress {
  const shown = new SingleBar({
    format: `{label} [{bar}] {percentage}% {done} of ${formatBytes(total)}, {eta_formatted} left`,
    stream,
    clearOnComplete: true,
    hideCursor: true,
    barsize: 30,
    fps: 10,
    gracefulExit: false,
  });
  let done = 0;
  let isShown = false;
  const end = (): void => {
    if (isShown) shown.stop();
    isShown = false;
  };
  return {
    phase(phase) {
      end();
      if (phase === 'commit' || total === 0) return;
      done = 0;
      isShown = true;
      shown.start(total, 0, { label: LABELS[phase], done: formatBytes(0) });
    },
    bytes(count) {
      done = Math.min(done + count, total);
      if (isShown) shown.update(done, { done: formatBytes(done) });
    },
    end,
  };
}

function plainLines(total: number, stream: NodeJS.WriteStream): Progress {
  let done = 0;
  let label = '';
  let next = 0;
  return {
    phase(phase) {
      done = 0;
      label = LABELS[phase].trim();
      next = performance.now() + PLAIN_EVERY_MS;
      if (phase !== 'commit') stream.write(`${label} ${formatBytes(total)}\n`);
    },
    bytes(count) {
      done += count;
      if (performance.now() < next) return;
      next = performance.now() + PLAIN_EVERY_MS;
      const percent = Math.floor((100 * Math.min(done, total)) / Math.max(total, 1));
      stream.write(`${label} ${percent}% (${formatBytes(done)})\n`);
    },
    end: () => undefined,
  };
}
