/**
 * Copies a file by io_uring, with several pieces in flight.
 *
 *     node examples/cp.js [--buffer BYTES] [--depth PIECES] SOURCE DESTINATION
 *
 * In a clone, run `npm run build` once before.
 */
import { constants, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { alloc, Proactor } from 'annulus';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    buffer: { type: 'string', default: '65536' },
    depth: { type: 'string', default: '8' },
  },
});
const [from, to] = positionals;
if (from === undefined || to === undefined || positionals.length > 2) {
  process.stderr.write('usage: cp.js [--buffer BYTES] [--depth PIECES] SOURCE DESTINATION\n');
  process.exit(2);
}

// Opening the destination would empty it.
const [before, after] = [from, to].map((path) => statSync(path, { throwIfNoEntry: false }));
if (after !== undefined && before?.dev === after.dev && before.ino === after.ino) {
  process.stderr.write(`cp.js: '${from}' and '${to}' are the same file\n`);
  process.exit(1);
}

const io = new Proactor();
const { mode } = await io.statx(from);
const source = await io.openFile(from, constants.O_RDONLY);
const create = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC;
const destination = await io.openFile(to, create, mode & 0o777);

const pieceBytes = Number(values.buffer);
let next = 0; // where the next piece begins
let copied = 0;

/**
 * Reads until the memory is full or the file ends: a read may be short.
 *
 * @param {Uint8Array} memory
 * @param {number} position
 */
async function fill(memory, position) {
  let filled = 0;
  while (filled < memory.length) {
    const count = await source.readAt(memory, position + filled, { offset: filled });
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

/**
 * Writes all of the memory: a write may be short, too.
 *
 * @param {Uint8Array} memory
 * @param {number} position
 */
async function empty(memory, position) {
  for (let written = 0; written < memory.length;) {
    written += await destination.writeAt(memory, position + written, { offset: written });
  }
}

/** Copies one piece after another, each time the first that nobody has begun. */
async function copyPieces() {
  const memory = alloc(pieceBytes); // the kernel reads and writes it in place
  for (;;) {
    const position = next;
    next += pieceBytes;
    const length = await fill(memory, position);
    await empty(memory.subarray(0, length), position);
    copied += length;
    if (length < pieceBytes) return;
  }
}

// However many pieces are in flight, those of one turn of the event loop make one system call.
await Promise.all(Array.from({ length: Number(values.depth) }, copyPieces));
await Promise.all([source.close(), destination.close()]);
const { submitted, enters } = io.stats;
console.log(`${copied} bytes copied by ${submitted} requests in ${enters} system calls`);
await io.close();
