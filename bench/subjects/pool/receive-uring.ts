/**
 * The same messages on the raw ring: by a poll and then a receive that does not wait (`poll`), as a
 * read into a pool goes, or into a ring of buffers from which the kernel picks one (`ring`).
 */

import { Region } from 'annulus';
import { MSG_FLAG } from 'annulus/uring';
import { checkMessage, openConnections, renew } from '../support/connections.ts';
import { Meter } from '../support/meter.ts';
import { numberOption, textOption } from '../support/options.ts';
import { report } from '../support/report.ts';
import { openRing } from '../support/ring.ts';

const BUFFER_BYTES = 4096;
const READABLE = 1;
/** Tokens: below it the connection that waits; then the one that receives; then the one that sends. */
const RECEIVES = 1 << 16;
const SENDS = 1 << 17;

const connections = openConnections(numberOption('connections'));
const selects = textOption('manner') === 'ring';
const ring = openRing(connections.length * 4);
const buffers = ring.register.bufferRing({ count: 64, size: BUFFER_BYTES });
const memory = Region.allocate(connections.length * BUFFER_BYTES);
const places = connections.map((_, index) =>
  memory.bytes.subarray(index * BUFFER_BYTES, (index + 1) * BUFFER_BYTES),
);
const pollFirst = { pollFirst: true };
const dontWait = { flags: MSG_FLAG.DONTWAIT };
let number = 0;
let received = 0;

function wait(index: number): void {
  const fd = connections[index]!.near;
  if (selects) ring.recvSelect(index, fd, buffers, pollFirst);
  else ring.pollAdd(index, fd, READABLE);
}

function onCompletion(token: number, result: number, flags: number): void {
  if (token >= SENDS) return;
  if (token < RECEIVES && !selects) {
    ring.recv(token | RECEIVES, connections[token]!.near, places[token]!, dontWait);
    return;
  }
  const index = token & (RECEIVES - 1);
  if (selects) {
    const id = buffers.take(flags);
    checkMessage(buffers.view(id), result, number);
    buffers.recycle(id);
  } else {
    checkMessage(places[index]!, result, number);
  }
  received++;
}

const meter = new Meter(16);
do {
  number++;
  received = 0;
  for (const [index, connection] of connections.entries()) {
    wait(index);
    renew(connection, number);
    ring.send(index | SENDS, connection.far, connection.message);
  }
  while (received < connections.length) {
    ring.submitAndWait(1);
    ring.drain(onCompletion);
  }
} while (meter.tick(connections.length));
report(meter.perSecond, 'op/s', { cpu: meter.cpuNanosecondsEach });
