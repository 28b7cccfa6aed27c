/** Lines found in the text of each chunk, decoded as it arrives. */

import { StringDecoder } from 'node:string_decoder';
import { lineStream, measureLines } from '../support/lines.ts';

const { source, sink } = lineStream();
const decoder = new StringDecoder('utf8');
let rest = '';

measureLines(source, sink, () => {
  const lines = (rest + decoder.write(source.next())).split('\n');
  rest = lines.pop()!;
  for (const line of lines) sink.parse(line);
});
