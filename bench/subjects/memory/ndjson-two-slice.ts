/** Lines found where they lie in a ring of two slices; those that cross the end are copied. */

import { lineStream, measureLines, NEWLINE, parsesLines } from '../support/lines.ts';
import { numberOption } from '../support/options.ts';
import { TwoSliceRing } from '../support/two-slice.ts';

const { source, sink } = lineStream();
const ring = new TwoSliceRing(numberOption('capacity'));
const { bytes, capacity } = ring;
const crossing = Buffer.alloc(capacity);

function take(line: Buffer, start: number, end: number): void {
  if (parsesLines) sink.parse(line.toString('utf8', start, end));
  else sink.take(line, start, end);
}

/** Takes the line that begins at `start`, before the end of the memory, and ends at `at` after it. */
function takeCrossing(start: number, at: number): void {
  const length = capacity - start + at;
  ring.copyTo(crossing, start, length);
  take(crossing, 0, length);
}

measureLines(source, sink, () => {
  // What arrives is one slice: the next call gets what is beyond the end of the memory.
  const { tail } = ring;
  const count = source.readInto(bytes, tail, ring.room);
  ring.advance(count);
  const first = ring.head;
  const whole = ring.length;
  const end = tail + count;
  // Stops the search where the content ends, unless that is the memory's end.
  if (end < capacity && ring.length < capacity) bytes[end] = NEWLINE;
  let start = first;
  let left = whole;
  let at = bytes.indexOf(NEWLINE, tail);
  while (at >= 0 && at < end) {
    const crosses = at < start;
    if (crosses) takeCrossing(start, at);
    else take(bytes, start, at);
    left -= (crosses ? capacity - start + at : at - start) + 1;
    start = at + 1 === capacity ? 0 : at + 1;
    at = at + 1 === capacity ? -1 : bytes.indexOf(NEWLINE, start);
  }
  ring.consume(whole - left);
});
