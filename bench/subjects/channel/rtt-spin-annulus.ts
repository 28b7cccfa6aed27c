/** Round trips to a child process through two channels, both sides spinning. */

import type { Receiver, Sender } from 'annulus/channel';
import { endsToParent, startEcho, WordsOf } from '../support/channel-pair.ts';
import { role } from '../support/child.ts';
import { checkPing, PING_BYTES, writePing } from '../support/ping.ts';
import { RoundTrips } from '../support/round-trips.ts';

const CAPACITY = 4_096;

const outgoing = new WordsOf();
const incoming = new WordsOf();

function send(sender: Sender, sequence: number): void {
  const free = sender.claim(PING_BYTES);
  if (free === null) throw new Error('the channel is full with one ping in flight');
  writePing(outgoing.of(free), free.byteOffset >> 2, sequence);
  sender.commit(PING_BYTES);
}

function receive(receiver: Receiver, sequence: number): void {
  while (receiver.length < PING_BYTES);
  const content = receiver.content();
  checkPing(incoming.of(content), content.byteOffset >> 2, sequence);
  receiver.consume(PING_BYTES);
}

function play(): void {
  const { child, sender, receiver } = startEcho('echo', CAPACITY);
  const trips = new RoundTrips(1_024);
  let sequence = 0;
  do {
    sequence = (sequence + 1) | 0;
    send(sender, sequence);
    receive(receiver, sequence);
  } while (trips.tick());
  trips.report();
  // A spinning process notices nothing but a signal.
  child.kill('SIGKILL');
  sender.close();
  receiver.close();
}

function echo(): void {
  const { sender, receiver } = endsToParent();
  for (let expected = 1; ; expected = (expected + 1) | 0) {
    receive(receiver, expected);
    send(sender, expected);
  }
}

if (role === 'parent') play();
else echo();
