/**
 * An echo server on our raw ring: multishot accept and receive, buffers that the kernel selects from
 * a ring. A reply is sent from the buffer the request came in, which is then given back.
 */

import { randomInt } from 'node:crypto';
import { constants } from 'node:os';
import { AF, CQE, SOCK, type CompletionCallback } from 'annulus/uring';
import { connections, reportServed, startLoad } from '../support/echo.ts';
import { Meter } from '../support/meter.ts';
import { flagsOf, openRing } from '../support/ring.ts';

const ENTRIES = 256;
const BUFFERS = 256;
const BUFFER_BYTES = 2_048;

/** Tokens: below `SEND` the descriptor that receives; `SEND` and more the buffer that is sent. */
const SEND = 1 << 24;
const ACCEPT = 1 << 25;

const F_MORE: number = CQE.F_MORE;
const NO_BUFFERS: number = -constants.errno.ENOBUFS;
const ring = openRing(ENTRIES);
const buffers = ring.register.bufferRing({ count: BUFFERS, size: BUFFER_BYTES });
const { region } = buffers;
const meter = new Meter(1_024);
const range = { offset: 0, length: 0 };
const progress = { served: 0 };

/** The result of one request, while there is no other. */
function resultOf(prepare: () => number): number {
  let outcome = 0;
  prepare();
  ring.submitAndWait(1);
  ring.drain((_, result) => (outcome = result));
  return outcome;
}

function orThrow(what: string, result: number): number {
  if (result < 0) throw new Error(`${what} failed with ${result}`);
  return result;
}

/** Starts to accept on a free port of the loopback device; returns the port. */
function listen(): number {
  const fd = orThrow(
    'socket',
    resultOf(() => ring.socket(0, AF.INET, SOCK.STREAM)),
  );
  for (;;) {
    const port = randomInt(20_000, 60_000);
    const address = { family: 'ipv4', address: '127.0.0.1', port } as const;
    if (resultOf(() => ring.bind(0, fd, address)) < 0) continue;
    orThrow(
      'listen',
      resultOf(() => ring.listen(0, fd, connections)),
    );
    ring.acceptMultishot(ACCEPT, fd);
    ring.submit();
    return port;
  }
}

function onReceived(fd: number, result: number, flags: number): void {
  if (result <= 0) {
    if (result !== NO_BUFFERS) throw new Error(`connection ${fd} ended with ${result}`);
    ring.recvMultishot(fd, fd, buffers); // every buffer is being sent
    return;
  }
  const id = buffers.take(flags);
  range.offset = buffers.offsetOf(id);
  range.length = result;
  ring.send(SEND | id, fd, region, range);
  if ((flags & F_MORE) === 0) ring.recvMultishot(fd, fd, buffers);
}

const onCompletion: CompletionCallback = (token, result, flags) => {
  if (token < SEND) {
    onReceived(token, result, flags);
  } else if (token < ACCEPT) {
    orThrow('send', result);
    buffers.recycle(token & 0xffff);
    progress.served++;
  } else {
    ring.recvMultishot(orThrow('accept', result), result, buffers);
  }
};

function serve(): number {
  progress.served = 0;
  ring.submitAndWait(1);
  ring.drain(onCompletion);
  return progress.served;
}

const stopLoad = startLoad(listen());
while (meter.tick(serve()));
reportServed(meter, stopLoad, { flags: flagsOf(ring) });
