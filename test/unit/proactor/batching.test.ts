/**
 * The batching policies: what reaches the kernel when, told by the counters alone.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { alloc, Proactor } from 'annulus';
import type { Batching } from 'annulus/proactor';
import { pair } from '../support/pair.js';
import { run } from '../support/processes.js';
import { Folder, needs } from '../support/requests.js';
import { held } from '../support/resources.js';

const available = needs('READ', 'WRITE');
const MINUTE = 60_000_000;

/** A proactor with a policy, a file to read, and what was handed over since the last look. */
class Bench {
  readonly io: Proactor;
  readonly folder: Folder = new Folder();
  readonly fd: number;

  constructor(batching: Batching, options: { entries?: number; maxInFlight?: number } = {}) {
    this.io = new Proactor({ entries: 16, ...options, batching });
    this.fd = this.folder.open('0123456789');
  }

  reads(count: number): Promise<number[]> {
    const one = (): Promise<number> => this.io.read(this.fd, alloc(1), { position: 0 });
    return Promise.all(Array.from({ length: count }, one));
  }

  get submitted(): number {
    return this.io.stats.submitted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.io.close();
    this.folder[Symbol.dispose]();
  }
}

/** Lets the event loop turn a few times. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await setImmediate();
}

describe('batching by the turn', available, () => {
  it('is the default, and can be named', async () => {
    await using bench = new Bench('turn');
    const reads = bench.reads(4);
    assert.equal(bench.submitted, 0);
    await reads;
    assert.deepEqual([bench.submitted, bench.io.stats.enters], [4, 1]);
  });

  it('hands over at once when submit() says so', async () => {
    await using bench = new Bench('turn');
    const reads = bench.reads(3);
    assert.equal(bench.io.submit(), 3);
    assert.deepEqual([bench.submitted, bench.io.stats.enters], [3, 1]);
    await reads;
    assert.equal(bench.io.stats.enters, 1);
  });
});

describe('manual batching', available, () => {
  it('hands over when submit() is called, and not before', async () => {
    await using bench = new Bench('manual');
    const first = bench.reads(2);
    await turns();
    const second = bench.reads(3);
    await turns();
    assert.deepEqual([bench.submitted, bench.io.stats.inFlight], [0, 5]);
    assert.equal(bench.io.submit(), 5);
    assert.deepEqual(
      [await first, await second],
      [
        [1, 1],
        [1, 1, 1],
      ],
    );
    assert.deepEqual([bench.submitted, bench.io.stats.enters], [5, 1]);
    assert.equal(bench.io.submit(), 0);
  });

  it('makes way when the queue is full', async () => {
    await using bench = new Bench('manual', { entries: 4 });
    const reads = bench.reads(9);
    await turns();
    assert.equal(bench.submitted, 8);
    bench.io.submit();
    assert.equal((await reads).length, 9);
  });

  it('holds a request and its time limit back together', async () => {
    await using bench = new Bench('manual');
    using ends = pair();
    const late = bench.io.recv(ends.reader, alloc(1), { timeout: 1 });
    await turns();
    assert.equal(bench.submitted, 0);
    assert.equal(bench.io.submit(), 2);
    await assert.rejects(late, { code: 'ERR_ANNULUS_TIMEOUT' });
  });

  it('lets an abort through', async () => {
    await using bench = new Bench('manual');
    using ends = pair();
    const controller = new AbortController();
    const aborted = bench.io.recv(ends.reader, alloc(1), { signal: controller.signal });
    await turns();
    controller.abort();
    await assert.rejects(aborted, { code: 'ABORT_ERR' });
  });

  it('loses nothing at close()', async () => {
    const bench = new Bench('manual');
    const reads = bench.reads(3);
    await bench[Symbol.asyncDispose]();
    assert.deepEqual(await reads, [1, 1, 1]);
  });

  it('keeps the cap: requests move up from the waiting line, and are held back, too', async () => {
    await using bench = new Bench('manual', { maxInFlight: 2 });
    const order: number[] = [];
    const reads = Array.from({ length: 5 }, async (_, i) => {
      await bench.reads(1);
      order.push(i);
    });
    await turns();
    assert.deepEqual([bench.io.stats.inFlight, bench.io.stats.waiting], [2, 3]);
    for (const expected of [2, 4, 5]) {
      bench.io.submit();
      while (order.length < expected) await setImmediate();
      await turns();
      assert.equal(order.length, expected);
    }
    await Promise.all(reads);
    assert.deepEqual(order, [0, 1, 2, 3, 4]);
    assert.equal(bench.io.stats.overflows, 0);
  });
});

describe('batching by number', available, () => {
  it('waits for so many requests, over as many turns as they take', async () => {
    await using bench = new Bench({ requests: 4 });
    const reads: Promise<number[]>[] = [];
    for (let i = 0; i < 3; i++) {
      reads.push(bench.reads(1));
      await turns();
    }
    assert.equal(bench.submitted, 0);
    reads.push(bench.reads(1));
    await Promise.all(reads);
    assert.deepEqual([bench.submitted, bench.io.stats.enters], [4, 1]);
  });

  it('takes along what the same turn adds to a batch that is due', async () => {
    await using bench = new Bench({ requests: 4 });
    await bench.reads(7);
    assert.deepEqual([bench.submitted, bench.io.stats.enters], [7, 1]);
    const more = bench.reads(3);
    await turns();
    assert.equal(bench.submitted, 7);
    bench.io.submit();
    await more;
  });

  it('gives way when requests have to wait for a slot', async () => {
    await using bench = new Bench({ requests: 2 }, { maxInFlight: 2 });
    using ends = pair();
    const receiving = bench.io.recv(ends.reader, alloc(1));
    await turns();
    // One slot is the receiver's until something comes: a second one is never held back with it.
    const reads = bench.reads(5);
    assert.deepEqual(await reads, [1, 1, 1, 1, 1]);
    ends.write('x');
    assert.equal(await receiving, 1);
  });
});

describe('batching by a deadline', available, () => {
  it('holds requests of many turns back for one call', async () => {
    await using bench = new Bench({ deadlineUs: MINUTE });
    const reads = [bench.reads(2)];
    await turns();
    reads.push(bench.reads(2));
    await turns();
    assert.equal(bench.submitted, 0);
    assert.equal(bench.io.submit(), 4);
    await Promise.all(reads);
  });

  it('hands over when it is reached, again and again', async () => {
    await using bench = new Bench({ deadlineUs: 100 });
    for (let i = 1; i <= 3; i++) {
      assert.deepEqual(await bench.reads(2), [1, 1]);
      assert.deepEqual([bench.submitted, bench.io.stats.enters], [2 * i, i]);
    }
  });

  it('is the second limit beside a number', async () => {
    await using bench = new Bench({ requests: 3, deadlineUs: MINUTE });
    await bench.reads(3);
    assert.deepEqual([bench.submitted, bench.io.stats.enters], [3, 1]);
    await using hasty = new Bench({ requests: 16, deadlineUs: 100 });
    await hasty.reads(3);
    assert.deepEqual([hasty.submitted, hasty.io.stats.enters], [3, 1]);
  });

  it('leaves nothing behind', async () => {
    const cycle = async (): Promise<void> => {
      await using bench = new Bench({ deadlineUs: 100 });
      await bench.reads(1);
    };
    await cycle();
    await setImmediate();
    const before = held();
    for (let i = 0; i < 20; i++) await cycle();
    await setImmediate();
    assert.deepEqual(held(), before);
  });
});

describe('a policy', available, () => {
  it('is refused when it makes no sense, and leaves nothing behind', () => {
    const before = held();
    const wrong: [unknown, string][] = [
      [{}, 'ERR_INVALID_ARG_VALUE'],
      ['sometimes', 'ERR_INVALID_ARG_VALUE'],
      [{ requests: 0 }, 'ERR_OUT_OF_RANGE'],
      [{ requests: 9 }, 'ERR_OUT_OF_RANGE'],
      [{ requests: '4' }, 'ERR_INVALID_ARG_TYPE'],
      [{ deadlineUs: 0 }, 'ERR_OUT_OF_RANGE'],
      [{ deadlineUs: 0.5 }, 'ERR_OUT_OF_RANGE'],
      [{ requests: 4, deadlineUs: MINUTE + 1 }, 'ERR_OUT_OF_RANGE'],
    ];
    for (const [batching, code] of wrong) {
      const options = { entries: 16, maxInFlight: 8, batching: batching as Batching };
      assert.throws(() => new Proactor(options), { code }, JSON.stringify(batching));
    }
    const onEnterError = 'log' as unknown as () => void;
    assert.throws(() => new Proactor({ entries: 16, onEnterError }), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
    assert.deepEqual(held(), before);
  });
});

describe('a process that holds requests back', available, () => {
  const program = (file: string, batching: string): string => `
    import { openSync } from 'node:fs';
    import { Proactor } from 'annulus';
    const io = new Proactor({ entries: 8, batching: ${batching} });
    const fd = openSync(${JSON.stringify(file)}, 'r+');
    console.log(await io.write(fd, Buffer.from('new'), { position: 0 }));`;

  it('stays until their deadline', async () => {
    using folder = new Folder();
    folder.open('old');
    const { code, stdout } = await run(program(folder.at('file'), '{ deadlineUs: 1000 }'));
    assert.deepEqual([code, stdout], [0, '3\n']);
  });

  it('ends if nothing else is to come, and writes what it held back', async () => {
    using folder = new Folder();
    folder.open('old');
    const { code } = await run(program(folder.at('file'), "'manual'"));
    assert.equal(code, 13); // Node: a promise at the top of the program was never settled
    assert.equal(readFileSync(folder.at('file'), 'utf8'), 'new');
  });
});
