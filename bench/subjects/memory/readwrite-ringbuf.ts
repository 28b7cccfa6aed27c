/** A chunk copied into ringbuf.js, and out of it. */

import { RingBuffer } from 'ringbuf.js';
import { numberOption } from '../support/options.ts';
import { measureTransfers } from '../support/transfer.ts';

const storage = RingBuffer.getStorageForCapacity(numberOption('capacity'), Uint8Array);
const ring = new RingBuffer(storage, Uint8Array);

measureTransfers((source, sink, count) => {
  if (ring.push(source) !== count) throw new Error('the ring is full');
  if (ring.pop(sink) !== count) throw new Error('the ring is empty');
});
