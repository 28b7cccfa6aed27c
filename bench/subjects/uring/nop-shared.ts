/**
 * Requests that do nothing, through one ring of one or two threads: each fills `depth`, submits, and
 * reaps until its own have come.
 */

import { isMainThread, Worker, workerData } from 'node:worker_threads';

import { SharedRing } from 'annulus/uring';
import type { SharedRingHandle } from 'annulus/uring';
import { Meter } from '../support/meter.ts';
import { numberOption } from '../support/options.ts';
import { report } from '../support/report.ts';
import { orSkip } from '../support/ring.ts';

/** What the second thread is started with. */
interface Given {
  readonly handle: SharedRingHandle;
  readonly depth: number;
  /** Requests it has made; and whether it is to stop. */
  readonly words: Int32Array;
}

/** Sum of the tokens that a batch brought back. */
const sum = { tokens: 0 };

function onCompletion(token: number, result: number): void {
  if (result !== 0) throw new Error(`nop ${token} completed with ${result}, expected 0`);
  sum.tokens = (sum.tokens + token) | 0;
}

function runBatch(ring: SharedRing, depth: number): void {
  sum.tokens = 0;
  for (let token = 0; token < depth; token++) ring.nop(token);
  ring.submit();
  for (let reaped = ring.drain(onCompletion); reaped < depth;) {
    ring.submitAndWait(1);
    reaped += ring.drain(onCompletion);
  }
  if (sum.tokens !== (depth * (depth - 1)) / 2) throw new Error('a token is missing or doubled');
}

function runSecond({ handle, depth, words }: Given): void {
  const ring = SharedRing.attach(handle);
  while (Atomics.load(words, 1) === 0) {
    runBatch(ring, depth);
    Atomics.add(words, 0, depth);
  }
  ring.close();
}

function runFirst(): void {
  const depth = numberOption('depth');
  const threads = numberOption('threads');
  const ring = orSkip(() => new SharedRing({ threads: 2, entries: Math.max(depth, 8) }));
  const words = new Int32Array(new SharedArrayBuffer(8));
  const given: Given = { handle: ring.handle, depth, words };
  const worker =
    threads === 2 ? new Worker(new URL(import.meta.url), { workerData: given }) : undefined;
  const meter = new Meter(4_096);
  let counted = 0;
  let others: number;
  do {
    runBatch(ring, depth);
    others = (Atomics.load(words, 0) - counted) | 0;
    counted = (counted + others) | 0;
  } while (meter.tick(depth + others));
  Atomics.store(words, 1, 1);
  const { forwarded, completed } = ring.stats;
  const done = (): void => {
    ring.close();
    const more = { cpu: meter.cpuNanosecondsEach, forwarded: forwarded / completed };
    report(meter.perSecond, 'op/s', more);
  };
  if (worker === undefined) done();
  else worker.on('exit', done);
}

if (isMainThread) runFirst();
else runSecond(workerData as Given);
