/**
 * Counts how often each value of a field occurs in newline-delimited JSON.
 *
 *     node examples/ndjson.js FIELD FILE
 *
 * The file is read into a mirrored ring. Content is one piece of memory there wherever it lies, so a line is
 * never copied, and never in two parts: what is left of an unfinished line stays where it is, and the
 * next read continues it. In a clone, run `npm run build` once before.
 */
import { open } from 'node:fs/promises';
import { MirroredRing } from 'annulus/memory';

const [field, file] = process.argv.slice(2);
if (field === undefined || file === undefined) {
  process.stderr.write('usage: ndjson.js FIELD FILE\n');
  process.exit(2);
}

/** Bytes of the ring, and so of the longest line that can be read. */
const LINE_BYTES_MAX = 1 << 20;
const NEWLINE = 10;

/**
 * Calls `take` with each line, without its end.
 *
 * @param {string} path
 * @param {(bytes: Buffer, start: number, end: number) => void} take - The line is `bytes` from
 *   `start` to before `end`, until `take` returns.
 */
async function forEachLine(path, take) {
  const ring = MirroredRing.create(LINE_BYTES_MAX);
  // One view for all reads and lines. A Buffer, because its search is the fastest.
  const bytes = Buffer.from(ring.bytes.buffer);
  const input = await open(path);
  try {
    for (;;) {
      if (ring.unusedLength === 0) throw new RangeError(`a line has over ${ring.capacity} bytes`);
      const { bytesRead } = await input.read(bytes, ring.unusedOffset, ring.unusedLength);
      if (bytesRead === 0) break;
      takeLines(ring, bytes, bytesRead, take);
    }
    const start = ring.contentOffset;
    if (ring.contentLength > 0) take(bytes, start, start + ring.contentLength); // had no end
  } finally {
    await input.close();
    ring.close();
  }
}

/**
 * Takes the lines that end in the `arrived` bytes after the content, which become content.
 *
 * @param {MirroredRing} ring
 * @param {Buffer} bytes - The ring's memory.
 * @param {number} arrived
 * @param {(bytes: Buffer, start: number, end: number) => void} take
 */
function takeLines(ring, bytes, arrived, take) {
  const first = ring.contentOffset;
  let at = first + ring.contentLength; // what lies before was searched already
  const end = at + arrived;
  ring.advance(arrived);
  // Nothing after the content is found: the search stops here. In a full ring it meets the mirror.
  if (ring.unusedLength > 0) bytes[end] = NEWLINE;
  let start = first;
  for (at = bytes.indexOf(NEWLINE, at); at >= 0 && at < end; at = bytes.indexOf(NEWLINE, start)) {
    take(bytes, start, at);
    start = at + 1;
  }
  ring.consume(start - first);
}

let lines = 0;
/** @type {Map<string, number>} */
const counts = new Map();
await forEachLine(file, (bytes, start, end) => {
  if (start === end) return; // an empty line is no record
  lines++;
  /** @type {Record<string, unknown>} */
  const record = JSON.parse(bytes.toString('utf8', start, end));
  const value = JSON.stringify(record[field]) ?? 'undefined';
  counts.set(value, (counts.get(value) ?? 0) + 1);
});
for (const [value, count] of [...counts].toSorted(([, a], [, b]) => b - a)) {
  console.log(`${count} ${value}`);
}
console.log(`${lines} lines`);
