/** Records parsed where they lie in a ring of two slices; those that cross the end are copied. */

import { numberOption } from '../support/options.ts';
import { HEADER_BYTES, measureRecords, recordLengthAt, recordStream } from '../support/records.ts';
import { TwoSliceRing } from '../support/two-slice.ts';

const { source, sink } = recordStream();
const ring = new TwoSliceRing(numberOption('capacity'));
const { bytes, capacity } = ring;
const crossing = new Uint8Array(capacity);

/** The length at `at`, in the case that its four bytes cross the end. */
function crossingLengthAt(at: number): number {
  ring.copyTo(crossing, at, HEADER_BYTES);
  return recordLengthAt(crossing, 0);
}

measureRecords(source, sink, () => {
  ring.advance(source.readInto(bytes, ring.tail, ring.room));
  let at = ring.head;
  let left = ring.length;
  const whole = left;
  while (left >= HEADER_BYTES) {
    const inOnePiece = at + HEADER_BYTES <= capacity;
    const length = inOnePiece ? recordLengthAt(bytes, at) : crossingLengthAt(at);
    if (left < HEADER_BYTES + length) break;
    const start = at + HEADER_BYTES < capacity ? at + HEADER_BYTES : at + HEADER_BYTES - capacity;
    let next = start + length;
    if (next <= capacity) {
      sink.take(bytes, start, next);
    } else {
      ring.copyTo(crossing, start, length);
      sink.take(crossing, 0, length);
    }
    if (next >= capacity) next -= capacity;
    at = next;
    left -= HEADER_BYTES + length;
  }
  ring.consume(whole - left);
});
