/** Records parsed out of what is left of the chunks before and the new one, concatenated. */

import { textOption } from '../support/options.ts';
import { HEADER_BYTES, measureRecords, recordLengthAt, recordStream } from '../support/records.ts';

const { source, sink } = recordStream();
let rest: Buffer = Buffer.alloc(0);

/** As it is mostly written: a view a record. */
function parseViews(): void {
  const buffer = Buffer.concat([rest, source.next()]);
  let at = 0;
  while (buffer.length - at >= HEADER_BYTES) {
    const start = at + HEADER_BYTES;
    const next = start + buffer.readUInt32LE(at);
    if (next > buffer.length) break;
    const record = buffer.subarray(start, next);
    sink.take(record, 0, record.length);
    at = next;
  }
  rest = buffer.subarray(at);
}

/** The same without a view: what the ring's parser does. */
function parseOffsets(): void {
  const buffer = Buffer.concat([rest, source.next()]);
  let at = 0;
  while (buffer.length - at >= HEADER_BYTES) {
    const start = at + HEADER_BYTES;
    const next = start + recordLengthAt(buffer, at);
    if (next > buffer.length) break;
    sink.take(buffer, start, next);
    at = next;
  }
  rest = buffer.subarray(at);
}

const manner = textOption('manner', 'views');
measureRecords(source, sink, manner === 'views' ? parseViews : parseOffsets);
