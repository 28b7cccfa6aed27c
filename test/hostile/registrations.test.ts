/**
 * Random registrations against a model: handles reach the file they were made for or are refused,
 * memory is pinned exactly while it is registered, and every tag completes once.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { Ring } from 'annulus/uring';
import type { FixedBuffer, FixedFile } from 'annulus/uring';

import { printedSeed, randomFrom } from '../support/random.ts';
import { Folder, registers } from '../support/uring.ts';

const [EBADF, EFAULT] = [-9, -14];
const OPERATIONS = 20_000;
const SLOTS = 6;

/** A handle, and what it should reach: a file's letter, or an empty slot. */
interface Handle {
  readonly file: FixedFile;
  readonly letter: string | undefined;
  readonly slot: number;
}

/** One ring, and what should be registered with it. */
class Model {
  readonly ring: Ring = new Ring({ entries: 8 });
  readonly #random: (below: number) => number;
  readonly #fds: ReadonlyMap<string, number>;
  readonly #regions: readonly Region[];
  readonly #memory = alloc(8);
  /** Current handles by slot, and those that must be refused. */
  #files: Handle[] = [];
  readonly #outdated: FixedFile[] = [];
  #buffers: (FixedBuffer | undefined)[] = [];
  /** Tags of slots, and tags that are due. */
  readonly #fileTags = new Map<number, number>();
  readonly #bufferTags = new Map<number, number>();
  readonly #due = new Set<number>();
  #nextTag = 1;

  constructor(
    random: (below: number) => number,
    fds: ReadonlyMap<string, number>,
    regions: readonly Region[],
  ) {
    this.#random = random;
    this.#fds = fds;
    this.#regions = regions;
  }

  /** How often a region is registered here. */
  count(region: Region): number {
    return this.#buffers.filter((buffer) => buffer?.region === region).length;
  }

  registerFiles(): void {
    const letters = Array.from({ length: 1 + this.#random(SLOTS) }, () => this.#letter());
    const tags = this.#random(2) === 0 ? undefined : letters.map((one) => this.#tag(one));
    const act = (): FixedFile[] =>
      this.ring.register.files(this.#numbers(letters), tags === undefined ? undefined : { tags });
    if (this.#files.length > 0) {
      assert.throws(act, { code: 'EBUSY' });
      return;
    }
    this.#files = act().map((file, slot) => ({ file, slot, letter: letters[slot] }));
    tags?.forEach((tag, slot) => tag >= 0 && this.#fileTags.set(slot, tag));
  }

  unregisterFiles(): void {
    if (this.#files.length === 0) {
      assert.throws(() => this.ring.register.unregisterFiles(), { code: 'ENXIO' });
      return;
    }
    this.ring.register.unregisterFiles();
    this.#outdated.push(...this.#files.map(({ file }) => file));
    for (const { slot } of this.#files) this.#release(this.#fileTags, slot);
    this.#files = [];
  }

  updateFiles(): void {
    const first = this.#random(SLOTS);
    const letters = Array.from({ length: 1 + this.#random(SLOTS) }, () => this.#letter());
    const skipped = letters.map(() => this.#random(3) === 0);
    const tags = letters.map((one, i) => (skipped[i] ? -1 : this.#tag(one)));
    const numbers = this.#numbers(letters).map((fd, i) => (skipped[i] ? null : fd));
    const act = (): FixedFile[] => this.ring.register.updateFiles(first, numbers, { tags });
    if (this.#files.length < first + letters.length) {
      assert.throws(act, { code: this.#files.length === 0 ? 'ENXIO' : 'EINVAL' });
      return;
    }
    act().forEach((file, i) => {
      const slot = first + i;
      if (skipped[i]) {
        assert.equal(file.generation, this.#files[slot]!.file.generation);
        return;
      }
      this.#outdated.push(this.#files[slot]!.file);
      this.#release(this.#fileTags, slot);
      if (tags[i]! >= 0) this.#fileTags.set(slot, tags[i]!);
      this.#files[slot] = { file, slot, letter: letters[i] };
    });
  }

  closeFile(): void {
    const handle = this.#files[this.#random(SLOTS)];
    if (handle === undefined) return;
    this.#release(this.#fileTags, handle.slot);
    this.ring.closeFd(0, handle.file);
    assert.equal(this.#result(), handle.letter === undefined ? EBADF : 0);
    this.#outdated.push(handle.file);
    const file = this.ring.register.fixedFile(handle.slot);
    this.#files[handle.slot] = { file, slot: handle.slot, letter: undefined };
  }

  useFiles(): void {
    for (const { file, letter } of this.#files) {
      this.ring.read(0, file, this.#memory, { length: 1, position: 0 });
      const result = this.#result();
      if (letter === undefined) assert.equal(result, EBADF);
      else assert.equal(String.fromCodePoint(this.#memory[0]!), letter);
    }
    const old = this.#outdated[this.#random(this.#outdated.length + 1)];
    if (old === undefined) return;
    assert.throws(() => this.ring.read(0, old, this.#memory), { code: 'ERR_ANNULUS_STALE_FILE' });
  }

  updateBuffers(): void {
    const first = this.#random(SLOTS);
    const regions = Array.from({ length: 1 + this.#random(2) }, () => this.#region());
    const tags = regions.map(() => this.#tag('x'));
    const act = (): FixedBuffer[] => this.ring.register.updateBuffers(first, regions, { tags });
    if (this.#buffers.length < first + regions.length) {
      assert.throws(act, { code: this.#buffers.length === 0 ? 'ENXIO' : 'EINVAL' });
      return;
    }
    act().forEach((buffer, i) => {
      this.#release(this.#bufferTags, buffer.index);
      if (tags[i]! >= 0) this.#bufferTags.set(buffer.index, tags[i]!);
      this.#buffers[buffer.index] = buffer;
    });
  }

  registerBuffers(): void {
    const act = (): void => this.ring.register.sparseBuffers(SLOTS);
    if (this.#buffers.length > 0) assert.throws(act, { code: 'EBUSY' });
    else {
      act();
      this.#buffers = Array.from({ length: SLOTS });
    }
  }

  unregisterBuffers(): void {
    if (this.#buffers.length === 0) return;
    this.ring.register.unregisterBuffers();
    for (let slot = 0; slot < SLOTS; slot++) this.#release(this.#bufferTags, slot);
    this.#buffers = [];
  }

  useBuffers(): void {
    const fd = this.#fds.get('a')!;
    for (const buffer of this.#buffers) {
      if (buffer === undefined) continue;
      this.ring.readFixed(0, fd, buffer, { length: 1, position: 0 });
      assert.equal(this.#result(), 1);
    }
    const region = this.#regions[0]!;
    const cleared = this.#buffers.findIndex((buffer) => buffer?.region === region);
    if (cleared < 0) return;
    const buffer = this.#buffers[cleared]!;
    this.ring.register.clearBuffers(cleared, 1);
    this.#release(this.#bufferTags, cleared);
    this.#buffers[cleared] = undefined;
    this.ring.readFixed(0, fd, buffer, { length: 1, position: 0 });
    assert.equal(this.#result(), EFAULT);
  }

  cloneFrom(source: Model): void {
    const act = (): FixedBuffer[] => this.ring.register.cloneBuffers(source.ring);
    if (source.#buffers.length === 0) {
      assert.throws(act, { code: 'ERR_OUT_OF_RANGE' });
    } else if (this.#buffers.length > 0) {
      assert.throws(act, { code: 'EBUSY' });
    } else {
      const clones = act();
      assert.equal(clones.length, source.#buffers.filter((buffer) => buffer).length);
      this.#buffers = Array.from({ length: SLOTS });
      for (const clone of clones) this.#buffers[clone.index] = clone;
    }
  }

  /** Takes every tag that is due, and no other. */
  settle(): void {
    this.ring.drain((token) => assert.ok(this.#due.delete(token), `tag ${token} was not due`));
    assert.deepEqual([...this.#due], []);
    assert.equal(this.ring.inFlight, 0);
  }

  #result(): number {
    let outcome: number | undefined;
    while (outcome === undefined) {
      this.ring.submitAndWait(1);
      this.ring.drain((token, result) => {
        if (token === 0) outcome = result;
        else assert.ok(this.#due.delete(token), `tag ${token} was not due`);
      });
    }
    return outcome;
  }

  #release(tags: Map<number, number>, slot: number): void {
    const tag = tags.get(slot);
    if (tag !== undefined) this.#due.add(tag);
    tags.delete(slot);
  }

  #tag(letter: string | undefined): number {
    return letter === undefined || this.#random(2) === 0 ? -1 : this.#nextTag++;
  }

  #letter(): string | undefined {
    return [undefined, ...this.#fds.keys()][this.#random(this.#fds.size + 1)];
  }

  #numbers(letters: readonly (string | undefined)[]): number[] {
    return letters.map((letter) => (letter === undefined ? -1 : this.#fds.get(letter)!));
  }

  #region(): Region {
    return this.#regions[this.#random(this.#regions.length)]!;
  }
}

const needed = registers('REGISTER_CLONE_BUFFERS', 'REGISTER_FILES_UPDATE2');

describe('random registrations', needed, () => {
  it('are as a model says', () => {
    using folder = new Folder();
    const random = randomFrom(printedSeed());
    const fds = new Map(['a', 'b', 'c'].map((name) => [name, folder.open(name, name)]));
    const regions = Array.from({ length: 5 }, () => Region.allocate(4096));
    const models = [0, 1].map(() => new Model(random, fds, regions));
    for (let i = 0; i < OPERATIONS; i++) {
      const which = random(2);
      const [model, other] = [models[which]!, models[1 - which]!];
      [
        (): void => model.registerFiles(),
        (): void => (random(4) === 0 ? model.unregisterFiles() : undefined),
        (): void => model.updateFiles(),
        (): void => model.closeFile(),
        (): void => model.useFiles(),
        (): void => model.registerBuffers(),
        (): void => (random(4) === 0 ? model.unregisterBuffers() : undefined),
        (): void => model.updateBuffers(),
        (): void => model.updateBuffers(),
        (): void => model.useBuffers(),
        (): void => model.cloneFrom(other),
      ][random(11)]!();
      model.settle();
      for (const region of regions) {
        assert.equal(
          region.busy,
          models.some((one) => one.count(region) > 0),
        );
      }
    }
    for (const { ring } of models) ring.close();
    for (const region of regions) region.close();
  });
});
