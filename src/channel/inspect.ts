/**
 * Looking at a channel from outside: what its memory says, none of which is taken for true.
 */
import { readAt } from '../sys/linux.ts';
import { HEADER_BYTES, MAGIC, MEMORY, POSITION, STATE, VERSION, WORD } from './layout.ts';
import { corrupt, geometryOf, readHeader } from './memory.ts';
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
 * Looks at a channel through its memfd, which may be open for reading only. Nothing is mapped or
 * written, so whoever looks cannot disturb it, nor be disturbed.
 *
 * @returns Nothing if it is no channel of this version.
 * @throws {AnnulusError} `ERR_ANNULUS_CHANNEL_CORRUPT` if it is one and says what cannot be.
 */
export function inspectMemory(memfd: number): ChannelReport | undefined {
  const bytes = new Uint8Array(HEADER_BYTES);
  if (readAt(memfd, bytes, 0) !== HEADER_BYTES) return undefined;
  const words = new Int32Array(bytes.buffer);
  if (words[WORD.MAGIC] !== MAGIC || words[WORD.VERSION] !== VERSION) return undefined;
  const geometry = geometryOf(memfd);
  const { capacity } = geometry;
  const format = readHeader(bytes.buffer, geometry, MEMORY.MIRRORED);
  const head = words[WORD.HEAD]! & POSITION;
  const tail = words[WORD.TAIL]! & POSITION;
  if (head >= 2 * capacity || tail >= 2 * capacity) {
    throw corrupt(`the sender's position is ${tail} and the receiver's ${head}`);
  }
  // Both were read while they moved: more than the capacity is no sign of anything.
  const distance = tail - head;
  const used = Math.min(capacity, distance < 0 ? distance + 2 * capacity : distance);
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
