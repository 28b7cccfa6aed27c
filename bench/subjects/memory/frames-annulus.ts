/** Records parsed where they lie in a mirrored ring, by offset: none is ever in two pieces. */

import { MirroredRing } from 'annulus/memory';
import { numberOption } from '../support/options.ts';
import { HEADER_BYTES, measureRecords, recordStream } from '../support/records.ts';

const { source, sink } = recordStream();
const ring = MirroredRing.create(numberOption('capacity'));
const { bytes } = ring;
/** One for the life of the ring, since its memory never moves. */
const view = new DataView(bytes.buffer);

measureRecords(source, sink, () => {
  ring.advance(source.readInto(bytes, ring.unusedOffset, ring.unusedLength));
  const first = ring.contentOffset;
  const end = first + ring.contentLength;
  let at = first;
  while (end - at >= HEADER_BYTES) {
    const start = at + HEADER_BYTES;
    const next = start + view.getUint32(at, true);
    if (next > end) break;
    sink.take(bytes, start, next);
    at = next;
  }
  ring.consume(at - first);
});
