/**
 * Receives frames over TCP, each after its length (32 bits, little-endian), and hashes what they carry.
 *
 *     node examples/frames.js PORT [HOST]
 *
 * The socket reads straight into a mirrored ring. Content is one piece of memory there wherever it
 * lies, so frames are parsed where they arrived: no copy, no chunks to join, and no frame in two parts.
 * In a clone, run `npm run build` once before.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { MirroredRing } from 'annulus/memory';

const [port, host = '127.0.0.1'] = process.argv.slice(2);
if (port === undefined) {
  process.stderr.write('usage: frames.js PORT [HOST]\n');
  process.exit(2);
}

/** A peer that announces more is not waited for. */
const FRAME_BYTES_MAX = 1 << 20;
const LENGTH_BYTES = 4;

// Never full of an unfinished frame, so that there is always free space to read into.
const ring = MirroredRing.create(LENGTH_BYTES + FRAME_BYTES_MAX + 1);
const { bytes } = ring;
// Made once: the memory stays where it is, unlike that of buffers which arrive or are joined.
const view = new DataView(bytes.buffer);

/**
 * Takes the frames that are whole.
 *
 * @param {(bytes: Uint8Array, start: number, end: number) => void} take - What a frame carries is
 *   `bytes` from `start` to before `end`, until `take` returns.
 */
function takeFrames(take) {
  const first = ring.contentOffset;
  const end = first + ring.contentLength;
  let at = first;
  while (end - at >= LENGTH_BYTES) {
    const length = view.getUint32(at, true);
    if (length > FRAME_BYTES_MAX) throw new RangeError(`a frame of ${length} bytes is announced`);
    const start = at + LENGTH_BYTES;
    if (start + length > end) break;
    at = start + length;
    take(bytes, start, at);
  }
  ring.consume(at - first);
}

const hash = createHash('sha256');
let frames = 0;
let carried = 0;

const socket = connect({
  port: Number(port),
  host,
  onread: {
    buffer: () => ring.unused(), // asked for before each read
    callback: (count) => {
      ring.advance(count);
      try {
        takeFrames((memory, start, end) => {
          frames++;
          carried += end - start;
          hash.update(memory.subarray(start, end));
        });
      } catch (error) {
        socket.destroy(error instanceof Error ? error : undefined);
      }
      return true; // go on reading
    },
  },
});
socket.on('error', ({ message }) => {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
});
socket.on('close', (failed) => {
  if (failed) return;
  if (ring.contentLength > 0) {
    process.stderr.write(`the last frame is not whole: ${ring.contentLength} bytes are left\n`);
    process.exitCode = 1;
  }
  console.log(`${frames} frames, ${carried} bytes, SHA-256 ${hash.digest('hex')}`);
});
