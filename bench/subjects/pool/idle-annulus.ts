/**
 * Thousands of connections that read through a small pool: what they hold while nothing arrives. Then
 * everything arrives at once, and every byte is checked. The other ends are a process of their own.
 *
 * What is held is the growth of this process's resident memory and of the kernel's slabs, from when
 * every connection is open to when each of them waits for data. The pool's budget is taken off.
 */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { BufferPool } from 'annulus/pool';
import { Proactor } from 'annulus/proactor';
import { AF, SOCK } from 'annulus/uring';
import { exitWithParent, role, startChild } from '../support/child.ts';
import { numberOption } from '../support/options.ts';
import { report, reportSkip } from '../support/report.ts';

const BUFFER_BYTES = 4096;
/** Connections that are being opened at one time, well below what a listener queues. */
const OPENING = 500;
/** What every connection is sent, after its number: more than a buffer, so that it is read by parts. */
const MESSAGE_BYTES = 6000;

const sockets = numberOption('sockets');
const buffers = numberOption('buffers');
const address = '127.0.0.1';

/** A byte of what connection `number` is sent. */
function byteAt(number: number, index: number): number {
  return (number * 31 + index * 7 + (index >> 8)) & 0xff;
}

/** The other ends: connects, tells when it has, and sends when it is told to. */
async function send(): Promise<void> {
  exitWithParent();
  const io = new Proactor({ entries: 4096 });
  const [port] = (await once(process, 'message')) as [number];
  const fds: number[] = [];
  while (fds.length < sockets) {
    const count = Math.min(OPENING, sockets - fds.length);
    const opened = Array.from({ length: count }, async () => {
      const fd = await io.socket(AF.INET, SOCK.STREAM);
      await io.connect(fd, { address, port });
      return fd;
    });
    fds.push(...(await Promise.all(opened)));
  }
  await once(process, 'message');
  for (const [number, fd] of fds.entries()) {
    const message = Buffer.alloc(4 + MESSAGE_BYTES, 0);
    message.writeUInt32LE(number);
    for (let index = 0; index < MESSAGE_BYTES; index++) message[4 + index] = byteAt(number, index);
    for (let sent = 0; sent < message.length;) sent += await io.send(fd, message.subarray(sent));
  }
  await Promise.all(fds.map((fd) => io.closeFd(fd)));
  await io.close();
  process.disconnect();
}

const collectGarbage = ((): (() => void) => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

/** Bytes this process and the kernel have, the former in memory. */
function memory(): { readonly process: number; readonly kernel: number } {
  const slabs = /^Slab:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  return { process: process.memoryUsage.rss(), kernel: Number(slabs?.[1] ?? 0) * 1024 };
}

/** Without what only waits to be collected. */
async function settled(): Promise<ReturnType<typeof memory>> {
  for (let round = 0; round < 3; round++) {
    collectGarbage();
    await setTimeout(50);
  }
  return memory();
}

/** Accepts every connection. */
async function open(io: Proactor, child: ReturnType<typeof startChild>): Promise<number[]> {
  await using listener = io.openListener({ address, port: 0, backlog: 4096 });
  child.send((listener.address as { port: number }).port);
  const fds: number[] = [];
  for await (const fd of listener) {
    fds.push(fd);
    if (fds.length === sockets) break;
  }
  return fds;
}

/** Reads one connection to its end; the connection's number. Every byte is checked. */
async function receive(
  io: Proactor,
  pool: BufferPool,
  fd: number,
  onPart: () => void,
): Promise<number> {
  let at = 0;
  let number = 0;
  for (;;) {
    using received = await io.recv(fd, pool);
    if (received.length === 0) break;
    for (const byte of received.bytes) {
      if (at < 4) {
        number |= byte << (8 * at);
      } else if (byte !== byteAt(number, at - 4)) {
        throw new Error(`byte ${at} of connection ${number} is ${byte}`);
      }
      at++;
    }
    onPart();
  }
  if (at !== 4 + MESSAGE_BYTES) throw new Error(`connection ${number} brought ${at} bytes`);
  return number;
}

async function receiveAll(): Promise<void> {
  const io = new Proactor({ entries: 4096 });
  const pool = new BufferPool({ bufferSize: BUFFER_BYTES, maxMemory: buffers * BUFFER_BYTES });
  const child = startChild('sender');
  const alone = await settled();
  const fds = await open(io, child);
  const before = await settled();
  let most = 0;
  let parts = 0;
  const reads = fds.map((fd) =>
    receive(io, pool, fd, () => {
      if (++parts % 256 === 0) most = Math.max(most, memory().process - before.process);
    }),
  );
  const idle = await settled();
  const { used, waiters } = pool.stats;
  if (used !== 0 || waiters !== 0 || io.stats.inFlight < sockets) {
    throw new Error(`idle: ${JSON.stringify({ pool: pool.stats, io: io.stats })}`);
  }
  child.send('send');
  const numbers = new Set(await Promise.all(reads));
  if (numbers.size !== sockets) throw new Error(`${numbers.size} connections brought data`);
  const { peak, waitTime } = pool.stats;
  const userIdle = idle.process - before.process;
  const kernelIdle = idle.kernel - before.kernel;
  await Promise.all(fds.map((fd) => io.closeFd(fd)));
  await pool.close();
  await io.close();
  report((userIdle + Math.max(0, kernelIdle) - pool.maxMemory) / sockets, 'B/socket', {
    idleProcess: Math.round(userIdle / sockets),
    idleKernel: Math.round(kernelIdle / sockets),
    receivingProcess: Math.round(most / sockets),
    socketKernel: Math.round((before.kernel - alone.kernel) / sockets),
    poolPeak: peak,
    waited: waitTime.count,
  });
}

if (role === 'sender') {
  await send();
} else {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  // Node has raised the soft limit to the hard one.
  if (Number(limit?.[1]) < sockets + 100) {
    reportSkip(
      `RLIMIT_NOFILE allows ${limit?.[1]} of ${sockets} sockets: ulimit -Hn ${sockets + 100}`,
    );
  } else await receiveAll();
}
