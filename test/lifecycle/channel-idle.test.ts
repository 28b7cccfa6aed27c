/**
 * What a channel costs while nothing, or nothing out of the ordinary, happens: no system call while
 * neither side waits, and no work at all while both do.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { Channel } from 'annulus/channel';
import { native } from '#src/sys/native.js';
import { root, start } from '../unit/support/processes.js';

/** Counts calls into the kernel that `act` makes through the shim. */
function countCalls(act: () => void): number {
  const shim = native() as { syscall: (...args: never[]) => number };
  const original = shim.syscall;
  let calls = 0;
  shim.syscall = (...args) => {
    calls++;
    return original(...args);
  };
  try {
    act();
  } finally {
    shim.syscall = original;
  }
  return calls;
}

describe('a channel whose ring is neither empty nor full', () => {
  it('makes no system call', () => {
    using channel = Channel.create({ capacity: 65536, messages: true });
    using sender = channel.sender;
    using receiver = channel.receiver;
    void sender.write(new Uint8Array(100));
    sender.flush();
    const calls = countCalls(() => {
      for (let i = 0; i < 10_000; i++) {
        void sender.write(new Uint8Array(i % 500));
        sender.flush();
        assert.equal(
          receiver.receive(() => {}, 1),
          1,
        );
      }
    });
    assert.equal(calls, 0);
  });

  it('makes one for a wake-up, which counting shows', async () => {
    using channel = Channel.create({ capacity: 4096, waiting: 'sleep' });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const waiting = receiver.whenReadable();
    assert.equal(
      countCalls(() => {
        for (let i = 0; i < 10; i++) sender.send(() => 1);
      }),
      1,
    );
    await waiting;
  });
});

/** Turns of a process on a processor that it gave up by itself, and processor time in us. */
const usage = `const usage = () => {
  const { voluntaryContextSwitches, userCPUTime, systemCPUTime } = process.resourceUsage();
  return [voluntaryContextSwitches, userCPUTime + systemCPUTime];
};`;

const SECONDS = 2;

describe('a channel left idle', () => {
  it('does nothing on either side, waiting on the loop', async () => {
    using channel = Channel.create({ capacity: 4096 });
    const child = start(
      `import { Receiver } from 'annulus/channel';
       ${usage}
       const receiver = Receiver.fromStdio();
       const waiting = receiver.whenReadable();
       // What starting up has left to do is done by then.
       await new Promise((resolve) => setTimeout(resolve, 1000));
       const before = usage();
       console.log('idle');
       await waiting;
       console.log(JSON.stringify(usage().map((value, index) => value - before[index])));`,
      channel.stdio('receiver', ['ignore', 'pipe', 'inherit']),
    );
    channel.release('receiver');
    let text = '';
    child.stdout!.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    while (!text.includes('idle')) await once(child.stdout!, 'data');
    await setTimeout(SECONDS * 1000);
    using sender = channel.sender;
    sender.send(() => 1);
    await once(child, 'close');
    const [switches] = JSON.parse(text.replace('idle', '')) as [number, number];
    // It is woken once. Node's own threads may have had a turn or two.
    assert.ok(switches < 20, `${switches} turns in ${SECONDS} s`);
  });

  it('does nothing in a thread that blocks', async () => {
    using channel = Channel.create({ capacity: 4096 });
    const worker = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads');
       const { readFileSync } = require('node:fs');
       const turns = () =>
         Number(/^voluntary_ctxt_switches:\\s*(\\d+)/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))[1]);
       import(workerData.module).then(({ Receiver }) => {
         const receiver = Receiver.attach(workerData.handle);
         const before = turns();
         parentPort.postMessage('idle');
         receiver.waitReadable();
         parentPort.postMessage(turns() - before);
       });`,
      {
        eval: true,
        workerData: {
          handle: channel.receiverHandle,
          module: new URL('dist/channel/index.js', `file://${root}`).href,
        },
      },
    );
    await once(worker, 'message');
    await setTimeout(SECONDS * 1000);
    using sender = channel.sender;
    sender.send(() => 1);
    const [turns] = (await once(worker, 'message')) as [number];
    assert.ok(turns < 20, `${turns} turns in ${SECONDS} s`);
    await worker.terminate();
  });
});
