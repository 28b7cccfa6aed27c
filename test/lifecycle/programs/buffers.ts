/**
 * Takes buffers away while reads into them are in flight, and looks for bytes written elsewhere.
 *
 * Arguments: how the read is made, what happens to its memory, how often.
 */

import assert from 'node:assert/strict';
import { closeSync, writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';

import { AnnulusError, Region } from 'annulus';
import { Proactor } from 'annulus/proactor';
import { Ring } from 'annulus/uring';

import { blockingPipe, blockingSockets } from '../../support/pipes.ts';

declare const gc: () => void;

const SIZE = 8192;
const CANARY = 0x5a;
const WRITTEN = 0xee;
const CANARIES = 4;

const [way, fate, rounds] = process.argv.slice(2) as [string, string, string];

/** What is left of a read when nobody holds its memory any more. */
interface Flight {
  readonly memory: WeakRef<ArrayBufferLike>;
  /** The bytes read, or the code of the error. */
  readonly land: () => Promise<number | string>;
}

const ring = new Ring({ entries: 8 });
const proactor = new Proactor({ entries: 8 });
const sockets = blockingSockets();
const pipe = blockingPipe();

/** Begins a read that cannot complete yet, and lets go of its memory in the way this run is about. */
async function flight(source: number): Promise<Flight> {
  const region = way === 'proactor-ordinary' ? undefined : Region.allocate(SIZE);
  const bytes = (region?.bytes ?? new Uint8Array(SIZE)).fill(1);
  const memory = new WeakRef(bytes.buffer);
  const land = way === 'ring' ? readByRing(source, bytes) : readByProactor(source, bytes);
  await turn();
  if (fate === 'transfer' || fate === 'detach') takeAway(bytes.buffer as Movable);
  if (fate === 'reallocate' && region !== undefined) {
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
  }
  return { memory, land };
}

function readByRing(source: number, bytes: Uint8Array): Flight['land'] {
  ring.read(1, source, bytes);
  ring.submit();
  return async () => {
    let outcome = 0;
    ring.submitAndWait(1);
    ring.drain((_, result) => (outcome = result));
    return outcome;
  };
}

function readByProactor(source: number, bytes: Uint8Array): Flight['land'] {
  const promise = proactor.read(source, bytes).catch((error: unknown) => {
    if (error instanceof AnnulusError) return error.code;
    throw error;
  });
  return () => promise;
}

/** `transfer()` is not there before Node 22. */
type Movable = ArrayBuffer & { transfer?: () => ArrayBuffer };

function takeAway(buffer: Movable): void {
  try {
    if (fate === 'transfer' && buffer.transfer) {
      assert.equal(buffer.transfer().byteLength, SIZE);
    } else {
      structuredClone(buffer, { transfer: [buffer] });
    }
  } catch (error) {
    // Newer Nodes do not let mapped memory be cloned away: then it is only dropped.
    assert.equal((error as Error).name, 'DataCloneError');
  }
}

/** Memory that takes the place of what was let go, with a pattern. */
function settle(): Uint8Array[] {
  return Array.from({ length: CANARIES }, (_, i) =>
    (i % 2 === 0 ? Region.allocate(SIZE).bytes : new Uint8Array(SIZE)).fill(CANARY),
  );
}

/** Many settlers, most of which leave again. */
function churn(): void {
  for (let i = 0; i < 64; i++) {
    using region = Region.allocate(SIZE);
    region.bytes.fill(CANARY);
  }
}

let collected = 0;
for (let round = 0; round < Number(rounds); round++) {
  const [source, sink] = round % 2 === 0 ? [sockets[0], sockets[1]] : [pipe, pipe];
  const { memory, land } = await flight(source);
  await turn();
  gc();
  if (fate === 'reallocate') churn();
  const canaries = settle();
  if (memory.deref() === undefined) collected++;
  await turn();
  assert.equal(writeSync(sink, new Uint8Array(SIZE).fill(WRITTEN)), SIZE);
  const outcome = await land();
  const detached = way === 'proactor-ordinary' && (fate === 'transfer' || fate === 'detach');
  assert.equal(outcome, detached ? 'ERR_ANNULUS_BUFFER_DETACHED' : SIZE);
  for (const canary of canaries) assert.ok(canary.every((byte) => byte === CANARY));
}
await proactor.close();
ring.close();
for (const fd of [...sockets, pipe]) closeSync(fd);
process.stdout.write(`${JSON.stringify({ rounds: Number(rounds), collected })}\n`);
