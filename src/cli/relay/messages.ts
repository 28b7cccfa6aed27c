/**
 * Messages: what the two processes of a relay tell each other beside the channel.
 */
import type { TransferMode } from './transfer.ts';

/** What the writer is started with. */
export interface WriterOrder {
  /** Where to write: a path that does not exist yet, beside or inside the destination. */
  readonly temporary: string;
}

/** From the writer, in this order; `failed` instead of any of them. */
export type WriterMessage =
  | { readonly kind: 'ready'; readonly mode: TransferMode }
  /** SHA-256 of files that arrived, in order. */
  | { readonly kind: 'received'; readonly hashes: readonly string[] }
  | { readonly kind: 'written' }
  | { readonly kind: 'progress'; readonly bytes: number }
  /** SHA-256 of files read back from the disk, in order. */
  | { readonly kind: 'readBack'; readonly hashes: readonly string[] }
  | { readonly kind: 'verified'; readonly peakRss: number }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string | undefined };

/** To the writer: read back what you have written; then, give it its name. */
export type ReaderMessage =
  | { readonly kind: 'verify' }
  | { readonly kind: 'commit'; readonly destination: string; readonly into: boolean };

/** Groups hashes, so that a tree of small files does not need a message each. */
export class HashBatch {
  readonly #send: (hashes: readonly string[]) => void;
  #hashes: string[] = [];

  constructor(send: (hashes: readonly string[]) => void) {
    this.#send = send;
  }

  add(hash: string): void {
    this.#hashes.push(hash);
    if (this.#hashes.length >= 256) this.flush();
  }

  flush(): void {
    if (this.#hashes.length > 0) this.#send(this.#hashes);
    this.#hashes = [];
  }
}
