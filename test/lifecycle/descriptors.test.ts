/**
 * Descriptors that arrive after nobody waits for them any more are closed.
 */

import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

import { Proactor } from 'annulus/proactor';
import { AF, decodeSocketAddress, probe, Ring, SOCK } from 'annulus/uring';

import { close, socketName } from '#src/sys/linux.js';

import { openFiles } from '../support/census.ts';
import { withoutUring } from '../support/skip.ts';

const ROUNDS = 100;
const withoutListen = probe().opcodes.has('LISTEN') ? false : 'this kernel lacks LISTEN (6.11)';

const needsPipe = { skip: probe().opcodes.has('PIPE') ? false : 'this kernel lacks PIPE (6.16)' };

function pipeEnds(paths: readonly string[]): number {
  return paths.filter((path) => path.startsWith('pipe:')).length;
}

/** Resolves with a descriptor, which it closes, or with the code of the error. */
async function settle(promise: Promise<number>): Promise<string> {
  try {
    close(await promise);
    return 'opened';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** A listening socket on loopback, and its port. */
async function listen(io: Proactor): Promise<{ listener: number; port: number }> {
  const listener = await io.socket(AF.INET, SOCK.STREAM);
  await io.bind(listener, { address: '127.0.0.1', port: 0 });
  await io.listen(listener, 64);
  const address = decodeSocketAddress(socketName(listener)) as { port: number };
  return { listener, port: address.port };
}

/** Connects; how it ends is of no interest. */
function dial(port: number): Socket {
  return connect(port, '127.0.0.1').on('error', () => {});
}

async function hangUp(socket: Socket): Promise<void> {
  if (socket.closed) return;
  const closed = once(socket, 'close');
  socket.destroy();
  await closed;
}

describe('hazard 3: descriptors of abandoned requests', { skip: withoutUring }, () => {
  it('open: aborted before, while and after it is submitted', async (test) => {
    const io = new Proactor({ entries: 8 });
    const outcomes: Record<string, number> = {};
    await settle(io.open('/dev/null', constants.O_RDONLY));
    const before = openFiles();
    for (let round = 0; round < ROUNDS; round++) {
      const controller = new AbortController();
      const { signal } = controller;
      const promise = io.open('/dev/null', constants.O_RDONLY, 0, { signal });
      if (round % 3 === 1) await Promise.resolve();
      if (round % 3 === 2) process.nextTick(() => controller.abort());
      else controller.abort();
      const outcome = await settle(promise);
      assert.ok(['opened', 'ABORT_ERR'].includes(outcome), outcome);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    test.diagnostic(JSON.stringify(outcomes));
    assert.deepEqual(openFiles(), before);
    await io.close();
  });

  it(
    'accept: aborted or timed out while a connection arrives',
    { skip: withoutListen },
    async () => {
      const io = new Proactor({ entries: 8 });
      const { listener, port } = await listen(io);
      const first = dial(port);
      assert.equal(await settle(io.accept(listener)), 'opened');
      await hangUp(first);
      const before = openFiles();
      for (let round = 0; round < ROUNDS; round++) {
        const controller = new AbortController();
        const ends = round % 2 === 0 ? { signal: controller.signal } : { timeout: 1 };
        const promise = io.accept(listener, ends);
        const socket = dial(port);
        if (round % 4 === 0) await once(socket, 'connect');
        controller.abort();
        const outcome = await settle(promise);
        assert.ok(['opened', 'ABORT_ERR', 'ERR_ANNULUS_TIMEOUT'].includes(outcome), outcome);
        // A connection that the request did not take waits for the next one.
        if (outcome !== 'opened' && round % 2 === 1) await settle(io.accept(listener));
        await hangUp(socket);
      }
      await drainBacklog(io, listener);
      assert.deepEqual(openFiles(), before);
      close(listener);
      await io.close();
    },
  );

  it('acceptMany: connections nobody took', { skip: withoutListen }, async () => {
    const io = new Proactor({ entries: 8 });
    const { listener, port } = await listen(io);
    const before = openFiles();
    const connections = io.acceptMany(listener);
    const taken = connections.next();
    const sockets = Array.from({ length: 10 }, () => dial(port));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const { value } = await taken;
    assert.ok(value !== undefined);
    close(value);
    await connections.return!();
    await drainBacklog(io, listener);
    await Promise.all(sockets.map(hangUp));
    assert.deepEqual(openFiles(), before);
    close(listener);
    await io.close();
  });
});

describe('hazard 3: descriptors that nobody reaped', { skip: withoutUring }, () => {
  it('are closed with the ring', () => {
    const before = openFiles();
    const ring = new Ring({ entries: 8 });
    for (let token = 0; token < 8; token++) ring.openat(token, '/dev/zero', constants.O_RDONLY);
    ring.submit();
    ring.close();
    assert.deepEqual(openFiles(), before);
  });

  it('are closed with the worker whose ring it is', async () => {
    const program = `
      import { parentPort } from 'node:worker_threads';
      const { Ring } = await import('${import.meta.resolve('annulus/uring')}');
      const ring = new Ring({ entries: 8 });
      for (let token = 0; token < 8; token++) ring.openat(token, '/dev/zero', 0);
      parentPort.postMessage(ring.submit());
      setInterval(() => {}, 1000);`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
    const worker = new Worker(url);
    assert.deepEqual(await once(worker, 'message'), [8]);
    await worker.terminate();
    assert.equal(openFiles().filter((path) => path === '/dev/zero').length, 0);
  });

  it('are closed with the worker, pipes too: their results say nothing', needsPipe, async () => {
    const before = openFiles();
    const program = `
      import { parentPort } from 'node:worker_threads';
      const { Ring } = await import('${import.meta.resolve('annulus/uring')}');
      const { Region } = await import('${import.meta.resolve('annulus/memory')}');
      const ring = new Ring({ entries: 16 });
      const memory = Region.allocate(4096);
      for (let i = 0; i < 8; i++) ring.pipe(i, memory.bytes.subarray(i * 8, i * 8 + 8));
      parentPort.postMessage([ring.submit()]);
      setInterval(() => {}, 1000);`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
    const [[submitted]] = (await once(worker, 'message')) as [[number]];
    assert.equal(submitted, 8);
    assert.ok(pipeEnds(openFiles()) >= pipeEnds(before) + 16, 'they were open');
    await worker.terminate();
    assert.equal(pipeEnds(openFiles()), pipeEnds(before));
  });
});

/** Takes the connections that still wait. */
async function drainBacklog(io: Proactor, listener: number): Promise<void> {
  while ((await io.poll(listener, 1, { timeout: 5 }).catch(() => 0)) !== 0) {
    await settle(io.accept(listener));
  }
}
