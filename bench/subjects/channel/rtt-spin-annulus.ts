/** Round trips of a number to a child process through two channels, both sides spinning. */

import type { ElementReceiver } from 'annulus/channel';
import { numberEndsToParent, startNumberEcho } from '../support/channel-pair.ts';
import { role } from '../support/child.ts';
import { RoundTrips } from '../support/round-trips.ts';

/** Numbers in a ring, as in the peers. */
const CAPACITY = 512;

/** Spins until a number is there, and verifies it. Its place is given back after the answer is sent. */
function receive(receiver: ElementReceiver<Float64Array>, expected: number): void {
  let number: number | undefined;
  while ((number = receiver.peek()) === undefined);
  if (number !== expected) throw new Error(`expected ${expected}, got ${number}`);
}

function play(): void {
  const { child, sender, receiver } = startNumberEcho('echo', CAPACITY);
  const trips = new RoundTrips(1_024);
  let sequence = 0;
  do {
    sequence++;
    sender.push(sequence);
    if (sequence > 1) receiver.consume(1);
    receive(receiver, ~sequence);
  } while (trips.tick());
  trips.report();
  // A spinning process notices nothing but a signal.
  child.kill('SIGKILL');
  sender.close();
  receiver.close();
}

function echo(): void {
  const { sender, receiver } = numberEndsToParent();
  for (let expected = 1; ; expected++) {
    receive(receiver, expected);
    sender.push(~expected);
    receiver.consume(1);
  }
}

if (role === 'parent') play();
else echo();
