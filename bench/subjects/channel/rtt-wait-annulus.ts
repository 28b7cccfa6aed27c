/**
 * Round trips to a child process through two channels, both sides waiting on the event loop, or
 * blocking: `waiting` says how.
 */

import type { Receiver, Sender, SignalKind, Waiting } from 'annulus/channel';
import { endsToParent, startEcho, WordsOf } from '../support/channel-pair.ts';
import { exitWithParent, role } from '../support/child.ts';
import { checkPing, PING_BYTES, writePing } from '../support/ping.ts';
import { textOption } from '../support/options.ts';
import { RoundTrips } from '../support/round-trips.ts';

const CAPACITY = 4_096;

const waiting = textOption('waiting', 'adaptive') as Waiting;

const signal = textOption('signal', 'socket') as SignalKind;

/** Whether a wait blocks the thread, as in a worker. */
const isBlocking = textOption('blocking', 'no') === 'yes';

const outgoing = new WordsOf();
const incoming = new WordsOf();

function send(sender: Sender, sequence: number): void {
  const free = sender.claim(PING_BYTES);
  if (free === null) throw new Error('the channel is full with one ping in flight');
  writePing(outgoing.of(free), free.byteOffset >> 2, sequence);
  sender.commit(PING_BYTES);
}

async function receive(receiver: Receiver, sequence: number): Promise<void> {
  if (isBlocking) receiver.waitReadable(PING_BYTES);
  else await receiver.whenReadable(PING_BYTES);
  const content = receiver.content();
  checkPing(incoming.of(content), content.byteOffset >> 2, sequence);
  receiver.consume(PING_BYTES);
}

async function play(): Promise<void> {
  const { child, sender, receiver } = startEcho('echo', CAPACITY, waiting, signal);
  const trips = new RoundTrips(16);
  let sequence = 0;
  do {
    send(sender, ++sequence);
    await receive(receiver, sequence);
  } while (trips.tick());
  trips.report();
  child.kill('SIGKILL');
  sender.close();
  receiver.close();
}

async function echo(): Promise<void> {
  exitWithParent();
  const { sender, receiver } = endsToParent(waiting, signal);
  for (let expected = 1; ; expected++) {
    await receive(receiver, expected);
    send(sender, expected);
  }
}

if (role === 'parent') await play();
else await echo();
