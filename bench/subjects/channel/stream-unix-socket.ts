/**
 * One-way payloads from a child process through a unix socket, each after its length.
 *
 * The sender gathers as many frames as fit into 64 KiB before it writes: a write a message would be
 * many times slower, and annulus publishes in batches too.
 */

import { exitWithParent, role } from '../support/child.ts';
import { textOption } from '../support/options.ts';
import { payloadNamed } from '../support/payload.ts';
import { StreamMeter } from '../support/stream-meter.ts';
import { connectChild, connectParent, FrameReader, PREFIX_BYTES } from '../support/unix-socket.ts';

const payload = payloadNamed(textOption('payload'));
const FRAME_BYTES = PREFIX_BYTES + payload.bytes;
const FRAMES = Math.max(1, Math.floor(65_536 / FRAME_BYTES));

/** Batches in the hands of the socket at a time, so that it never runs dry. */
const BATCHES = 4;

/** Node reads at most this much at once. */
const CHUNK_BYTES = 65_536;

async function receive(): Promise<void> {
  const { child, socket } = await connectChild('sender');
  const meter = new StreamMeter(payload.bytes, 64, () => {
    child.kill('SIGKILL');
    socket.destroy();
  });
  const frames = new FrameReader(payload.bytes, CHUNK_BYTES);
  let sequence = 0;
  function take(_words: Int32Array, start: number): void {
    payload.consume(frames.numbers, start >> 1, sequence++);
  }
  socket.on('data', (chunk) => {
    meter.tick(frames.push(chunk, take));
  });
}

function send(): void {
  exitWithParent();
  const socket = connectParent();
  let sequence = 0;

  function sendBatch(bytes: Uint8Array, words: Int32Array, numbers: Float64Array): void {
    for (let offset = 0; offset < bytes.length; offset += FRAME_BYTES) {
      words[offset >> 2] = payload.bytes;
      payload.write(numbers, (offset + PREFIX_BYTES) >> 3, sequence++);
    }
    socket.write(bytes, (error) => {
      if (error === undefined || error === null) sendBatch(bytes, words, numbers);
    });
  }

  for (let batch = 0; batch < BATCHES; batch++) {
    const bytes = new Uint8Array(FRAMES * FRAME_BYTES);
    sendBatch(bytes, new Int32Array(bytes.buffer), new Float64Array(bytes.buffer));
  }
}

if (role === 'parent') await receive();
else send();
