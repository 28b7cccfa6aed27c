/** Lines found in what is left of the chunks before and the new one, concatenated. */

import { lineStream, measureLines, NEWLINE, parsesLines } from '../support/lines.ts';
import { textOption } from '../support/options.ts';

const { source, sink } = lineStream();
let rest: Buffer = Buffer.alloc(0);

/** As it is mostly written: a view a line. */
function findViews(): void {
  const buffer = Buffer.concat([rest, source.next()]);
  let start = 0;
  for (let at = buffer.indexOf(NEWLINE); at >= 0; at = buffer.indexOf(NEWLINE, start)) {
    const line = buffer.subarray(start, at);
    if (parsesLines) sink.parse(line.toString());
    else sink.take(line, 0, line.length);
    start = at + 1;
  }
  rest = buffer.subarray(start);
}

/** The same without a view, and what was searched is not searched again: as the ring's parser. */
function findOffsets(): void {
  const buffer = Buffer.concat([rest, source.next()]);
  let start = 0;
  let at = buffer.indexOf(NEWLINE, rest.length);
  while (at >= 0) {
    if (parsesLines) sink.parse(buffer.toString('utf8', start, at));
    else sink.take(buffer, start, at);
    start = at + 1;
    at = buffer.indexOf(NEWLINE, start);
  }
  rest = buffer.subarray(start);
}

measureLines(source, sink, textOption('manner', 'views') === 'views' ? findViews : findOffsets);
