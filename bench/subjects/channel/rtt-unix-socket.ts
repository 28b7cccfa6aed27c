/** Round trips to a child process through a unix socket, each message after its length. */

import type net from 'node:net';
import { exitWithParent, role } from '../support/child.ts';
import { checkPing, PING_BYTES, PING_WORDS, writePing } from '../support/ping.ts';
import { RoundTrips } from '../support/round-trips.ts';
import { connectChild, connectParent, FrameReader, PREFIX_BYTES } from '../support/unix-socket.ts';

/** Node reads at most this much at once. */
const CHUNK_BYTES = 65_536;

const PREFIX_WORDS = PREFIX_BYTES / 4;

const words = new Int32Array(PREFIX_WORDS + PING_WORDS);
const bytes = new Uint8Array(words.buffer);

/** Writes a frame; its memory is free again at once, for one ping is ever in flight. */
function writeFrame(socket: net.Socket, sequence: number): void {
  words[0] = PING_BYTES;
  writePing(words, PREFIX_WORDS, sequence);
  socket.write(bytes);
}

async function play(): Promise<void> {
  const { child, socket } = await connectChild('echo');
  const trips = new RoundTrips(16);
  const frames = new FrameReader(PING_BYTES, CHUNK_BYTES);
  let sequence = 1;
  function take(received: Int32Array, start: number): void {
    checkPing(received, start, sequence);
    if (trips.tick()) {
      writeFrame(socket, ++sequence);
    } else {
      trips.report();
      child.kill('SIGKILL');
      socket.destroy();
    }
  }
  socket.on('data', (chunk) => frames.push(chunk, take));
  writeFrame(socket, sequence);
}

function echo(): void {
  exitWithParent();
  const socket = connectParent();
  const frames = new FrameReader(PING_BYTES, CHUNK_BYTES);
  let expected = 0;
  socket.on('data', (chunk) =>
    frames.push(chunk, (received, start) => {
      checkPing(received, start, ++expected);
      writeFrame(socket, expected);
    }),
  );
}

if (role === 'parent') await play();
else echo();
