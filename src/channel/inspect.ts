/**
 * Looking at a channel from outside: what its memory says, none of which is taken for true.
 */
import { POSITION, STATE, WORD } from './layout.ts';
import { corrupt, openMemory } from './memory.ts';
import type { PeerState } from './end.ts';

/** One side of a channel, as its memory says. */
export interface SideReport {
  readonly state: Exclude<PeerState, 'died'>;
  /** Process id that the side has stored; 0 if it never attached. */
  readonly pid: number;
}

/** A channel at one moment, as its memory says. */
export interface ChannelReport {
  /** Bytes the ring can hold. */
  readonly capacity: number;
  /** 0 bytes, 1 elements, 2 messages. */
  readonly mode: number;
  /** Bytes of an element. */
  readonly unit: number;
  /** Bytes sent and not consumed. */
  readonly used: number;
  /** Bytes sent so far, modulo 2^32 times twice the capacity. */
  readonly sent: number;
  /** Messages or publications so far, modulo 2^32. */
  readonly count: number;
  /** Messages dropped because there was no room, modulo 2^32. */
  readonly dropped: number;
  readonly sender: SideReport;
  readonly receiver: SideReport;
}

/**
 * Looks at a channel through its memfd, which stays the caller's.
 *
 * @throws {AnnulusError} `ERR_ANNULUS_CHANNEL_CORRUPT` if it is no channel, or says what cannot be.
 */
export function inspectMemory(memfd: number): ChannelReport {
  const memory = openMemory(memfd);
  try {
    const { words, capacity, format } = memory;
    // The head first: the tail can only have moved away from it since.
    const head = Atomics.load(words, WORD.HEAD) & POSITION;
    const tail = Atomics.load(words, WORD.TAIL) & POSITION;
    const distance = tail - head;
    const used = Math.min(capacity, distance < 0 ? distance + 2 * capacity : distance);
    if (head >= 2 * capacity || tail >= 2 * capacity) {
      throw corrupt(`the sender's position is ${tail} and the receiver's ${head}`);
    }
    return {
      capacity,
      mode: format.mode,
      unit: format.unit,
      used,
      sent: (words[WORD.LAPS]! >>> 0) * 2 * capacity + tail,
      count: words[WORD.COUNT]! >>> 0,
      dropped: words[WORD.DROPPED]! >>> 0,
      sender: { state: stateName(words[WORD.SENDER]!), pid: words[WORD.SENDER_PID]! },
      receiver: { state: stateName(words[WORD.RECEIVER]!), pid: words[WORD.RECEIVER_PID]! },
    };
  } finally {
    memory.release();
  }
}

function stateName(state: number): SideReport['state'] {
  switch (state) {
    case STATE.VACANT:
      return 'vacant';
    case STATE.ATTACHED:
      return 'attached';
    case STATE.CLOSED:
      return 'closed';
    case STATE.FAILED:
      return 'failed';
    default:
      throw corrupt(`the state of a side is ${state}`);
  }
}
