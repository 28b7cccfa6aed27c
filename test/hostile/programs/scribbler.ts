/**
 * A process that has a channel's memory and writes nonsense into it: into the words of the header, and
 * into the lengths of messages. It ends when it is told to.
 */

import type { Region } from 'annulus/memory';
import { randomFrom } from '../../support/random.js';
import { CONTROL, mapShared } from '../support/scribbled.js';

/** Header words of which the protocol consists, and some around them. */
const HOT_WORDS = [32, 33, 34, 64, 96, 97, 128, 129];
const HEADER_WORDS = 1024;

const [seed, bytes] = process.argv.slice(2).map(Number) as [number, number];
const random = randomFrom(seed);
const victim = wordsOf(mapShared(3, bytes));
const control = wordsOf(mapShared(4, 4096));
const dataWords = victim.length - HEADER_WORDS;

function wordsOf(region: Region): Int32Array {
  return new Int32Array(region.bytes.buffer);
}

/** Something that was there, changed; something that could be there; or anything. */
function nonsense(old: number): number {
  switch (random(5)) {
    case 0:
      return old ^ (1 << random(32));
    case 1:
      return (old + random(64) - 32) | 0;
    case 2:
      return random(2 * dataWords * 4 + 2) - 1;
    case 3:
      return random(8);
    default:
      return random(2 ** 32) | 0;
  }
}

function target(): number {
  const choice = random(10);
  if (choice < 6) return HOT_WORDS[random(HOT_WORDS.length)]!;
  if (choice === 6) return random(HEADER_WORDS);
  return HEADER_WORDS + random(dataWords);
}

/** Lets honest traffic flow for a while, mostly a short one. */
function pause(): void {
  const turns = random(100) === 0 ? 20_000 : random(30);
  for (let turn = 0; turn < turns; turn++) Atomics.load(control, CONTROL.STOP);
}

while (Atomics.load(control, CONTROL.STOP) === 0) {
  const at = target();
  victim[at] = nonsense(victim[at]!);
  Atomics.add(control, CONTROL.CORRUPTIONS, 1);
  pause();
}
