/** Making and touching a ring of ordinary memory, which the garbage collector takes: by `of`. */

import { RingBuffer } from 'ringbuf.js';
import { measureCreations, touch } from '../support/creation.ts';
import { numberOption, textOption } from '../support/options.ts';
import { TwoSliceRing } from '../support/two-slice.ts';

const capacity = numberOption('capacity');
const byte = new Uint8Array(1);

const kinds: Readonly<Record<string, () => void>> = {
  'two-slice': () => touch(new TwoSliceRing(capacity).bytes),
  buffer: () => touch(Buffer.allocUnsafe(capacity)),
  ringbuf: () => {
    const storage = RingBuffer.getStorageForCapacity(capacity, Uint8Array);
    const ring = new RingBuffer(storage, Uint8Array);
    if (ring.push(byte) + ring.pop(byte) !== 2) throw new Error('the ring keeps nothing');
  },
};

measureCreations(kinds[textOption('of')]!);
