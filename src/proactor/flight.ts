/**
 * Flight: pieces of work under way at once that land in the order in which they took off.
 */

/** Most pieces under way: bounds open files as well. */
const PIECES_MAX = 64;

interface Piece {
  readonly length: number;
  readonly land: () => void;
  done: boolean;
}

/** Keeps the order of pieces that complete in any order, and bounds the bytes they take. */
export class Flight {
  readonly #bytesMax: number;
  readonly #pieces: Piece[] = [];
  #bytes = 0;
  #working = 0;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** @param bytesMax - Bytes of all pieces under way together. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of the pieces that have not landed. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Takes a piece on.
   *
   * @param work - What has to be over before it can land; undefined: nothing.
   * @param land - Called once all pieces before it have landed.
   */
  add(length: number, work: Promise<unknown> | undefined, land: () => void): void {
    const piece: Piece = { length, land, done: work === undefined };
    this.#pieces.push(piece);
    this.#bytes += length;
    if (work === undefined) {
      this.#land();
      return;
    }
    this.#working++;
    work.then(
      () => {
        this.#working--;
        piece.done = true;
        this.#land();
      },
      (error: unknown) => {
        this.#working--;
        this.#fail(error);
      },
    );
  }

  /** Resolves once there is room for a piece of `length` bytes. Rejects if a piece has failed. */
  async room(length: number): Promise<void> {
    const isFull = (): boolean =>
      this.#pieces.length >= PIECES_MAX ||
      (this.#bytes > 0 && this.#bytes + length > this.#bytesMax);
    while (this.#failure === undefined && isFull()) await this.#change();
    this.#check();
  }

  /** Resolves once everything has landed. Rejects if a piece has failed. */
  async landed(): Promise<void> {
    while (this.#failure === undefined && this.#pieces.length > 0) await this.#change();
    this.#check();
  }

  /** Resolves once no work is under way any more, failed or not: its memory and files are free. */
  async settled(): Promise<void> {
    while (this.#working > 0) await this.#change();
  }

  #land(): void {
    try {
      while (this.#failure === undefined && this.#pieces[0]?.done === true) {
        const piece = this.#pieces[0];
        // First of all: landing may add a piece.
        this.#pieces.shift();
        this.#bytes -= piece.length;
        piece.land();
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#notify();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#notify();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
