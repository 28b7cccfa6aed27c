/**
 * The kernel's worker threads: how many there may be, and where they run.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { describe, it } from 'node:test';

import { Ring, SQE } from 'annulus/uring';

import { without } from '../../support/skip.ts';
import { finish, Folder, registers } from '../../support/uring.ts';

/** Far above what the kernel takes to start a thread. */
const LIMIT_MS = 10_000;

/** The status files of this process's worker threads. */
function workers(): string[] {
  return readdirSync('/proc/self/task').flatMap((task) => {
    try {
      const status = readFileSync(`/proc/self/task/${task}/status`, 'utf8');
      return status.startsWith('Name:\tiou-wrk') ? [status] : [];
    } catch {
      return []; // it has ended
    }
  });
}

/** Waits until there are so many workers. */
function untilWorkers(count: number): void {
  for (const until = performance.now() + LIMIT_MS; workers().length < count;) {
    assert.ok(performance.now() < until, `${workers().length} workers, not ${count}`);
  }
}

describe('the processors of workers', registers('REGISTER_IOWQ_AFF'), () => {
  it('are those named, for workers that start from then on', () => {
    using ring = new Ring({ entries: 4 });
    const allowed = (): string[] =>
      workers().map((status) => /^Cpus_allowed_list:\t(.*)$/m.exec(status)![1]!);
    const [, own] = /^Cpus_allowed_list:\t(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
    ring.register.workerAffinity([Number(own)]);
    ring.nop(1);
    ring.flagLast(SQE.ASYNC);
    finish(ring);
    untilWorkers(1);
    assert.deepEqual(new Set(allowed()), new Set([own]));
    ring.register.unregisterWorkerAffinity();
  });

  it('are numbers of processors', () => {
    using ring = new Ring({ entries: 4 });
    assert.throws(() => ring.register.workerAffinity([]), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => ring.register.workerAffinity([-1]), { code: 'ERR_OUT_OF_RANGE' });
    // The kernel would cut the number off, and run its threads nowhere.
    assert.throws(() => ring.register.workerAffinity([cpus().length]), {
      code: 'ERR_OUT_OF_RANGE',
    });
  });
});

describe('limits of workers', registers('REGISTER_IOWQ_MAX_WORKERS'), () => {
  it('are kept, one by one, and told', () => {
    using ring = new Ring({ entries: 4 });
    const before = ring.register.maxWorkers();
    assert.ok(before.bounded > 0 && before.unbounded > 0);
    ring.register.maxWorkers({ bounded: 3 });
    assert.deepEqual(ring.register.maxWorkers({ unbounded: 5 }), {
      bounded: 3,
      unbounded: before.unbounded,
    });
    assert.deepEqual(ring.register.maxWorkers(), { bounded: 3, unbounded: 5 });
    ring.register.maxWorkers(before);
  });

  it('are numbers', () => {
    using ring = new Ring({ entries: 4 });
    for (const bounded of [-1, 0.5, 2 ** 31]) {
      assert.throws(() => ring.register.maxWorkers({ bounded }), { code: 'ERR_OUT_OF_RANGE' });
    }
  });

  it('hazard 25: hold however many requests wait', { skip: without('mkfifo') }, () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 32 });
    execFileSync('mkfifo', [folder.at('pipe')]);
    const before = ring.register.maxWorkers({ bounded: 2 });
    // Opening a pipe for reading waits for a writer, so each request keeps a worker busy.
    for (let token = 0; token < 24; token++) {
      ring.openat(token, folder.at('pipe'), constants.O_RDONLY);
      ring.flagLast(SQE.ASYNC);
    }
    ring.submit();
    untilWorkers(2);
    // Reading the status files takes a while, in which more workers would appear.
    for (let i = 0; i < 20; i++) assert.equal(workers().length, 2);
    const writer = openSync(folder.at('pipe'), constants.O_RDWR);
    for (const fd of finish(ring).values()) closeSync(fd);
    closeSync(writer);
    ring.register.maxWorkers(before);
  });
});
