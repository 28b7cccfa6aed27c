/**
 * Sends without a copy: two completions, and memory that is in use until the second.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { AF, CQE, MSG_FLAG, Ring, SOCK, SocketMessage, SQE, TIMEOUT } from 'annulus/uring';
import { wasCopied } from 'annulus/uring';
import type { FixedBuffer } from 'annulus/uring';

import { addressOf, collect, collectOf, hasMore, Sockets } from '../../support/sockets.ts';
import type { Event } from '../../support/sockets.ts';
import { byToken, memoryOf, needs, runOne, textOf } from '../../support/uring.ts';

const [EBADF, EINVAL, EOPNOTSUPP, ECANCELED] = [-9, -22, -95, -125];

/** Receives so many bytes as text. */
function receive(ring: Ring, fd: number, bytes: number): string {
  const memory = alloc(bytes);
  const flags = MSG_FLAG.WAITALL;
  assert.equal(
    runOne(ring, (token) => ring.recv(token, fd, memory, { flags })),
    bytes,
  );
  return textOf(memory);
}

/** Waits for both completions of a send: of its bytes, and of its memory. */
function bothOf(ring: Ring, token: number): [sent: Event, notified: Event] {
  const events = collect(ring, 2);
  assert.deepEqual(
    events.map((event) => [event.token, (event.flags & CQE.F_NOTIF) !== 0, hasMore(event)]),
    [
      [token, false, true],
      [token, true, false],
    ],
  );
  return [events[0]!, events[1]!];
}

/** A chain that breaks before the two sends that are its end. */
function breakBefore(ring: Ring, fd: number, memory: FixedBuffer, prepare: Prepare): void {
  ring.nopWith(1, { result: -5 });
  ring.flagLast(SQE.IO_LINK);
  const first = prepare(ring, 2, fd, memory);
  assert.equal(ring.flagLast(SQE.IO_HARDLINK), first);
  assert.notEqual(prepare(ring, 3, fd, memory), first);
  const events = collect(ring, 3);
  // Whatever else the kernel tells of them comes before the ends of these.
  for (const token of [4, 5]) {
    ring.nop(token);
    events.push(...collect(ring, 1));
  }
  assert.deepEqual(
    events.map(({ token, result, flags }) => [token, result, flags]),
    [
      [1, -5, 0],
      [2, ECANCELED, 0],
      [3, ECANCELED, 0],
      [4, 0, 0],
      [5, 0, 0],
    ],
  );
  assert.equal(ring.inFlight, 1);
  assert.equal(memory.region.busy, true);
}

/** Prepares a send of all of the memory; returns its key. */
type Prepare = (ring: Ring, token: number, fd: number, memory: FixedBuffer) => number;

const KINDS: Readonly<Record<string, Prepare>> = {
  'a send': (ring, token, fd, { region }) => ring.sendZc(token, fd, region),
  'a send to an address': (ring, token, fd, { region }) =>
    ring.sendZc(token, fd, region, { address: { address: '127.0.0.1', port: 9 } }),
  'a send of registered memory': (ring, token, fd, memory) => ring.sendZc(token, fd, memory),
  'a send of several pieces': (ring, token, fd, { region }) =>
    ring.sendvZc(token, fd, [region, region]),
  'a send of a message': (ring, token, fd, { region }) =>
    ring.sendmsgZc(token, fd, new SocketMessage({ memories: [region] })),
};

describe('hazard 16: sends without a copy', needs('SEND_ZC', 'SOCKET', 'BIND', 'LISTEN'), () => {
  it('complete with their bytes, then with a notification', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    ring.sendZc(1, near, memoryOf('zero copies'), { offset: 5, length: 6 });
    const [sent, notified] = bothOf(ring, 1);
    assert.deepEqual([sent.result, notified.result], [6, 0]);
    assert.equal(receive(ring, far, 6), 'copies');
  });

  it('say on the loopback device that they were copied, if asked', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    ring.sendZc(1, near, memoryOf('reported'), { reportUsage: true });
    const [, notified] = bothOf(ring, 1);
    assert.equal(receive(ring, far, 8), 'reported');
    assert.equal(wasCopied(notified.result), true);
    assert.equal(wasCopied(0), false);
  });

  it('keep their memory until the notification is reaped', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    using receiver = new Ring({ entries: 2 });
    const region = Region.allocate(1 << 16);
    ring.sendZc(1, near, region);
    ring.submit();
    const busy: [boolean, boolean][] = [];
    while (busy.length < 2) {
      ring.submitAndWait(1);
      ring.drain((_, __, flags) => busy.push([(flags & CQE.F_MORE) !== 0, region.busy]));
      if (busy.length === 1) receive(receiver, far, 1 << 16);
    }
    assert.deepEqual(busy, [
      [true, true],
      [false, false],
    ]);
    assert.equal(ring.inFlight, 0);
    region.close();
  });

  it('notify of a failure, too, or do not; F_MORE says which, and the memory waits for it', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const region = Region.allocate(4096);
    // Unix sockets do not have it.
    for (const [fd, errno] of [
      [1_000_000, EBADF],
      [sockets.pair()[0], EOPNOTSUPP],
    ] as const) {
      ring.sendZc(1, fd, region);
      ring.submit();
      const events: { result: number; flags: number; busy: boolean }[] = [];
      while (ring.inFlight > 0) {
        ring.submitAndWait(1);
        ring.drain((_, result, flags) => events.push({ result, flags, busy: region.busy }));
      }
      assert.equal(events[0]!.result, errno);
      assert.ok(events.length <= 2);
      for (const [index, { flags, busy }] of events.entries()) {
        const last = index === events.length - 1;
        assert.deepEqual([(flags & CQE.F_MORE) !== 0, busy], [!last, !last]);
        assert.equal((flags & CQE.F_NOTIF) !== 0, index === 1);
      }
    }
    region.close();
  });

  it('may come from registered memory, and from nothing beside it', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    const memory = alloc(64);
    memory.set(Buffer.from('...registered...'));
    const [, buffer] = ring.register.buffers([alloc(8), memory.subarray(3, 13)]);
    ring.sendZc(1, near, buffer!, { offset: 2, length: 8 });
    const [sent] = bothOf(ring, 1);
    assert.equal(sent.result, 8);
    assert.equal(receive(ring, far, 8), 'gistered');
    assert.throws(() => ring.sendZc(2, near, buffer!, { offset: 3, length: 8 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    ring.nop(3);
    collectOf(ring, 3);
    // The next entry in the same place of the queue is a plain one again.
    for (let i = 0; i < 8; i++) {
      ring.sendZc(1, near, memory.subarray(0, 3));
      assert.equal(bothOf(ring, 1)[0].result, 3);
    }
  });

  for (const address of ['127.0.0.1', '::1']) {
    it(`name the destination of a datagram: ${address}`, () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const far = sockets.bound({ address, port: 0 }, SOCK.DGRAM);
      const near = sockets.open(address === '::1' ? AF.INET6 : AF.INET, SOCK.DGRAM);
      ring.sendZc(1, near, memoryOf('gram'), { address: addressOf(far) });
      assert.equal(bothOf(ring, 1)[0].result, 4);
      assert.equal(receive(ring, far, 4), 'gram');
    });
  }

  it(
    'of a message: its pieces are in use until the notification, and so is it',
    needs('SENDMSG_ZC'),
    () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = sockets.tcp();
      using message = new SocketMessage({ memories: ['one', 'two'].map(memoryOf) });
      for (let i = 0; i < 2; i++) {
        ring.sendmsgZc(1, near, message);
        assert.throws(() => ring.sendmsgZc(2, near, message), { code: 'ERR_REGION_BUSY' });
        assert.equal(bothOf(ring, 1)[0].result, 6);
        assert.equal(receive(ring, far, 6), 'onetwo');
      }
    },
  );

  it('of a message in registered memory', needs('SENDMSG_ZC'), (t) => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    const memory = alloc(64);
    memory.set(Buffer.from('onetwo'));
    const [fixed] = ring.register.buffers([memory.subarray(0, 32)]) as [FixedBuffer];
    using message = new SocketMessage({ memories: [memory.subarray(0, 3), memory.subarray(3, 6)] });
    ring.sendmsgZc(1, near, message, { fixed });
    const [first] = collect(ring, 1);
    if (first!.result === EINVAL) return t.skip('no vectors of registered memory here');
    if (hasMore(first!)) collect(ring, ring.inFlight);
    assert.equal(first!.result, 6);
    assert.equal(receive(ring, far, 6), 'onetwo');
    using outside = new SocketMessage({ memories: [memory.subarray(30, 34)] });
    assert.throws(() => ring.sendmsgZc(1, near, outside, { fixed }), { code: 'ERR_OUT_OF_RANGE' });
    return undefined;
  });

  it('hazard 9: a chain goes on after the bytes, not after the notification', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    ring.sendZc(1, near, memoryOf('linked'), { flags: MSG_FLAG.WAITALL });
    ring.flagLast(SQE.IO_LINK);
    ring.send(2, near, memoryOf('!'));
    const events = collect(ring, 3);
    assert.deepEqual(
      events.filter(({ flags }) => (flags & CQE.F_NOTIF) === 0).map(({ token }) => token),
      [1, 2],
    );
    assert.equal(receive(ring, far, 7), 'linked!');
    ring.sendZc(1, 1_000_000, memoryOf('x'));
    ring.flagLast(SQE.IO_LINK);
    ring.send(2, near, memoryOf('!'));
    const failed = collect(ring, 2);
    while (ring.inFlight > 0) failed.push(...collect(ring, 1));
    assert.deepEqual(
      failed.filter(({ flags }) => (flags & CQE.F_NOTIF) === 0).map(({ result }) => result),
      [EBADF, ECANCELED],
    );
  });

  for (const [name, prepare] of Object.entries(KINDS)) {
    it(`hazard 16: ${name} whose chain breaks before it ends once`, needs('SENDMSG_ZC'), () => {
      using ring = new Ring({ entries: 16 });
      using sockets = new Sockets();
      const [near] = sockets.tcp();
      const region = Region.allocate(4096);
      const [memory] = ring.register.buffers([region]) as [FixedBuffer];
      // A request that stays in flight, on the same memory.
      ring.recv(9, near, region);
      ring.submit();
      for (let round = 0; round < 3; round++) breakBefore(ring, near, memory, prepare);
      ring.register.unregisterBuffers();
      assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
      ring.cancelAll(6);
      assert.deepEqual(
        collectOf(ring, 9, 6).map(({ result }) => result),
        [ECANCELED, 1],
      );
      assert.equal(ring.inFlight, 0);
      region.close();
    });
  }

  it('hazard 16: behind a link that holds they complete twice, and can be cancelled', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    const region = Region.allocate(64);
    ring.nop(1);
    ring.flagLast(SQE.IO_LINK);
    ring.sendZc(2, near, region, { length: 3, flags: MSG_FLAG.WAITALL });
    ring.flagLast(SQE.IO_LINK);
    const key = ring.sendZc(3, near, region, { offset: 3, length: 4 });
    const events = collect(ring, 5);
    const notified = events.filter(({ flags }) => (flags & CQE.F_NOTIF) !== 0);
    assert.deepEqual(byToken(notified), [
      [2, 0],
      [3, 0],
    ]);
    assert.deepEqual(byToken(events.filter((event) => !notified.includes(event))), [
      [1, 0],
      [2, 3],
      [3, 4],
    ]);
    assert.equal(ring.inFlight, 0);
    assert.equal(receive(ring, far, 7).length, 7);
    // Its key is that of the request, and what is forgotten unsubmitted is free again.
    ring.timeout(1, 60_000, { flags: TIMEOUT.ETIME_SUCCESS });
    ring.flagLast(SQE.IO_LINK);
    assert.equal(ring.sendZc(2, near, region), key);
    ring.close();
    region.close();
  });
});
