/** Records through ringbuf.js, which copies what is read out of its ring. */

import { RingBuffer } from 'ringbuf.js';
import { numberOption } from '../support/options.ts';
import { HEADER_BYTES, measureRecords, recordLengthAt, recordStream } from '../support/records.ts';

const { source, sink } = recordStream();
const capacity = numberOption('capacity');
const ring = new RingBuffer(RingBuffer.getStorageForCapacity(capacity, Uint8Array), Uint8Array);
const header = new Uint8Array(HEADER_BYTES);
const record = new Uint8Array(capacity);
/** Length of the record whose header was read already; -1 before that. */
let length = -1;

measureRecords(source, sink, () => {
  const chunk = source.next();
  if (ring.push(chunk) !== chunk.length) throw new Error('the ring is too small');
  let left = ring.availableRead();
  for (;;) {
    if (length < 0) {
      if (left < HEADER_BYTES) return;
      left -= ring.pop(header);
      length = recordLengthAt(header, 0);
    }
    if (left < length) return;
    left -= ring.pop(record, length);
    sink.take(record, 0, length);
    length = -1;
  }
});
