/**
 * Registered memory: looked up and pinned once instead of at every request.
 */
import { CLONE, RSRC_FLAG, RSRC_REGISTER, RSRC_UPDATE2, SIZEOF } from '../../sys/abi.ts';
import { checkInteger, invalidArgType, invalidArgValue } from '../../sys/errors.ts';
import { pin, unpin } from '../../memory/pins.ts';
import { requireRegion } from '../../memory/region.ts';
import { FixedBuffer } from '../descriptors.ts';
import type { Memory } from '../descriptors.ts';
import { MAX_TOKEN } from '../requests/queue.ts';
import { RegisterCalls, Scratch } from './calls.ts';

const MAX_BUFFERS = 16384;

/** How registrations are tagged. */
export interface TagOptions {
  /**
   * One token a resource, -1 for none. When the kernel has let go of a tagged resource, after it was
   * replaced or unregistered, a completion with its token and result 0 says so. Linux 5.13.
   */
  readonly tags?: readonly number[];
}

/** Which buffers `cloneBuffers()` takes, and where they go. */
export interface CloneOptions {
  /** First slot of the other ring. Default 0. */
  readonly from?: number;
  /** How many. Default: all from there on. */
  readonly count?: number;
  /** First slot here. Default 0. */
  readonly to?: number;
  /** Replaces buffers this ring has already. Without it there must be none. */
  readonly replace?: boolean;
}

/** What has registered buffers: a ring. */
export interface BufferSource {
  /** The ring's registrations. */
  readonly register: object;
}

/** One registered range, and what keeps it alive. */
interface Slot {
  readonly buffer: FixedBuffer;
  /** Whether the pin ends with the completion of a tag. */
  readonly tagged: boolean;
}

/** Registrations of memory. */
export abstract class BufferRegistrations extends RegisterCalls {
  #slots: (Slot | undefined)[] = [];
  /** Slots the kernel has, empty ones too. */
  #length = 0;

  /**
   * Registers memory, so that `readFixed()` and `writeFixed()` need not map it each time. The memory
   * stays pinned until `unregisterBuffers()`; with a tag, until the tag's
   * completion is reaped. Linux 5.1.
   *
   * @param memories - Regions, or views into them; 1 to 16384 of at most 1 GiB each.
   * @throws {SystemError} `ENOMEM` when `RLIMIT_MEMLOCK` (charged per user, over all processes) does
   *   not allow it; `EBUSY` when buffers are registered already.
   */
  buffers(memories: readonly Memory[], options?: TagOptions): FixedBuffer[] {
    checkInteger('memories.length', memories.length, 1, MAX_BUFFERS);
    const buffers = toBuffers(0, memories);
    const tags = options?.tags;
    if (tags === undefined) {
      this.call('REGISTER_BUFFERS', vectorsOf(buffers), buffers.length);
    } else {
      this.#withTags(buffers, tags, RSRC_REGISTER.BYTES, (scratch, vectors, tagged) => {
        scratch.view.setUint32(RSRC_REGISTER.NR, buffers.length, true);
        scratch.view.setBigUint64(RSRC_REGISTER.DATA, scratch.addressOf(vectors), true);
        scratch.view.setBigUint64(RSRC_REGISTER.TAGS, scratch.addressOf(tagged), true);
        this.call('REGISTER_BUFFERS2', scratch.bytes, RSRC_REGISTER.BYTES);
      });
    }
    this.#length = buffers.length;
    buffers.forEach((buffer, index) => this.#fill(buffer, isTagged(tags, index)));
    return buffers;
  }

  /** Registers `count` empty slots, to be filled by `updateBuffers()`. Linux 5.19. */
  sparseBuffers(count: number): void {
    checkInteger('count', count, 1, MAX_BUFFERS);
    const argument = new Uint8Array(RSRC_REGISTER.BYTES);
    const view = new DataView(argument.buffer);
    view.setUint32(RSRC_REGISTER.NR, count, true);
    view.setUint32(RSRC_REGISTER.FLAGS, RSRC_FLAG.REGISTER_SPARSE, true);
    this.call('REGISTER_BUFFERS2', argument, RSRC_REGISTER.BYTES);
    this.#length = count;
  }

  /**
   * Fills slots from `first` on, replacing what they have. Requests in flight keep what they were
   * prepared with. Linux 5.13.
   *
   * @throws {SystemError} As `buffers()`; the slots before the refused one
   *   are filled all the same.
   */
  updateBuffers(first: number, memories: readonly Memory[], options?: TagOptions): FixedBuffer[] {
    checkInteger('first', first, 0, MAX_BUFFERS - 1);
    checkInteger('memories.length', memories.length, 1, MAX_BUFFERS - first);
    const buffers = toBuffers(first, memories);
    const tags = options?.tags;
    this.#withTags(buffers, tags, RSRC_UPDATE2.BYTES, (scratch, vectors, tagged) => {
      for (let done = 0; done < buffers.length;) {
        const at = (start: number, size: number): bigint => scratch.addressOf(start + done * size);
        const { view } = scratch;
        view.setUint32(RSRC_UPDATE2.OFFSET, first + done, true);
        view.setBigUint64(RSRC_UPDATE2.DATA, at(vectors, SIZEOF.IOVEC), true);
        view.setBigUint64(RSRC_UPDATE2.TAGS, tags === undefined ? 0n : at(tagged, 8), true);
        view.setUint32(RSRC_UPDATE2.NR, buffers.length - done, true);
        const count = this.call('REGISTER_BUFFERS_UPDATE', scratch.bytes, RSRC_UPDATE2.BYTES);
        for (const end = done + count; done < end; done++) {
          this.#fill(buffers[done]!, isTagged(tags, done));
        }
      }
    });
    return buffers;
  }

  /** Empties `count` slots from `first` on. Linux 5.13. */
  clearBuffers(first: number, count: number): void {
    checkInteger('first', first, 0, MAX_BUFFERS - 1);
    checkInteger('count', count, 1, MAX_BUFFERS - first);
    using scratch = new Scratch(RSRC_UPDATE2.BYTES + count * SIZEOF.IOVEC);
    scratch.view.setUint32(RSRC_UPDATE2.OFFSET, first, true);
    scratch.view.setBigUint64(RSRC_UPDATE2.DATA, scratch.addressOf(RSRC_UPDATE2.BYTES), true);
    scratch.view.setUint32(RSRC_UPDATE2.NR, count, true);
    this.call('REGISTER_BUFFERS_UPDATE', scratch.bytes, RSRC_UPDATE2.BYTES);
    for (let index = first; index < first + count; index++) this.#empty(index);
  }

  /**
   * Registers the memory another ring has registered, without locking it once more. Both rings
   * belong to one process; each keeps the memory until it unregisters it. Linux 6.12; ranges and
   * `replace` 6.13.
   *
   * @returns This ring's handles of the slots that are not empty.
   */
  cloneBuffers(source: BufferSource, options: CloneOptions = {}): FixedBuffer[] {
    const { register } = source;
    if (!(register instanceof BufferRegistrations)) {
      throw invalidArgType('source', 'a Ring', source);
    }
    const { from = 0, to = 0, replace = false } = options;
    checkInteger('from', from, 0, MAX_BUFFERS - 1);
    const count = options.count ?? register.#length - from;
    checkInteger('count', count, 1, MAX_BUFFERS - from);
    checkInteger('to', to, 0, MAX_BUFFERS - count);
    const indexed = register.ringIndex >= 0;
    const flags = (indexed ? CLONE.SRC_REGISTERED : 0) | (replace ? CLONE.DST_REPLACE : 0);
    const fd = indexed ? register.ringIndex : register.fd;
    this.call('REGISTER_CLONE_BUFFERS', Int32Array.of(fd, flags, from, to, count, 0, 0, 0), 1);
    this.#length = Math.max(this.#length, to + count);
    const clones: FixedBuffer[] = [];
    for (let i = 0; i < count; i++) {
      const original = register.#slots[from + i]?.buffer;
      this.#empty(to + i);
      if (original === undefined) continue;
      const { region, byteOffset, byteLength } = original;
      const clone = new FixedBuffer(to + i, region, byteOffset, byteLength);
      this.#fill(clone, false);
      clones.push(clone);
    }
    return clones;
  }

  /** Takes the registered memory back. Requests in flight keep theirs. Linux 5.1. */
  unregisterBuffers(): void {
    this.call('UNREGISTER_BUFFERS', null, 0);
    this.#emptyAll();
  }

  /** @internal */
  override retire(): void {
    super.retire();
    this.#emptyAll();
  }

  #emptyAll(): void {
    this.#slots.forEach((_, index) => this.#empty(index));
    this.#slots = [];
    this.#length = 0;
  }

  #fill(buffer: FixedBuffer, tagged: boolean): void {
    this.#empty(buffer.index);
    if (!tagged) pin(buffer.region.slot);
    this.#slots[buffer.index] = { buffer, tagged };
  }

  #empty(index: number): void {
    const slot = this.#slots[index];
    if (slot === undefined) return;
    this.#slots[index] = undefined;
    // What is tagged stays pinned until the kernel says that it has let go.
    if (!slot.tagged) unpin(slot.buffer.region.slot);
  }

  /** Lays out vectors and tags behind a structure; tags of what was not registered are dropped. */
  #withTags(
    buffers: readonly FixedBuffer[],
    tags: readonly number[] | undefined,
    bytes: number,
    call: (scratch: Scratch, vectors: number, tagged: number) => void,
  ): void {
    checkTags(tags, buffers.length);
    const tagged = bytes + buffers.length * SIZEOF.IOVEC;
    using scratch = new Scratch(tagged + buffers.length * 8);
    const vectors = vectorsOf(buffers);
    scratch.bytes.set(new Uint8Array(vectors.buffer), bytes);
    const holds = buffers.map((buffer, index) => {
      if (!isTagged(tags, index)) return 0;
      const hold = this.tags.take(buffer.region.slot);
      scratch.view.setInt32(tagged + index * 8, tags![index]!, true);
      scratch.view.setInt32(tagged + index * 8 + 4, hold, true);
      return hold;
    });
    try {
      call(scratch, bytes, tagged);
    } catch (error) {
      const registered = (index: number): boolean =>
        this.#slots[buffers[index]!.index]?.buffer === buffers[index];
      holds.forEach((hold, index) => {
        if (hold !== 0 && !registered(index)) this.tags.release(hold);
      });
      throw error;
    }
  }
}

/** @internal Checks that there is one tag a resource, each a token or -1. */
export function checkTags(tags: readonly number[] | undefined, count: number): void {
  if (tags === undefined) return;
  if (tags.length !== count) {
    throw invalidArgValue('tags', `must have ${count} elements`, tags.length);
  }
  for (const tag of tags) checkInteger('tag', tag, -1, MAX_TOKEN);
}

/** @internal */
export function isTagged(tags: readonly number[] | undefined, index: number): boolean {
  return tags !== undefined && tags[index]! >= 0;
}

function toBuffers(first: number, memories: readonly Memory[]): FixedBuffer[] {
  return memories.map((memory, index) => {
    const region = requireRegion('memories', memory);
    const start = memory instanceof Uint8Array ? memory.byteOffset : 0;
    return new FixedBuffer(first + index, region, start, memory.byteLength);
  });
}

/** An array of `struct iovec`. */
function vectorsOf(buffers: readonly FixedBuffer[]): BigInt64Array {
  return BigInt64Array.from(
    buffers.flatMap(({ region, byteOffset, byteLength }) => [
      BigInt(region.address + byteOffset),
      BigInt(byteLength),
    ]),
  );
}
