/** Arguments that no request can take, and those that hardly any can. */

import { Region } from 'annulus/memory';

import type { RandomInteger } from '../../support/random.ts';

const closed = Region.allocate(64);
closed.close();

const NUMBERS = [-1, -2, 1.5, NaN, Infinity, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 40), 0, 1];

const TOKENS = [-1, 1.5, NaN, 2 ** 31, '1', null, undefined, 1n, {}];

const FDS = [-1, -100, 1.5, NaN, 2 ** 31, '3', null, undefined, {}, { index: 0, generation: 0 }];

const PATHS = ['', 'nul\0', 'x'.repeat(5000), null, undefined, 7, {}, Buffer.from('/tmp')];

const MEMORIES = [
  new Uint8Array(32),
  new SharedArrayBuffer(64),
  closed,
  null,
  undefined,
  'text',
  7,
  {},
  { address: 4096, byteLength: 64, slot: 1 },
];

/** Chooses wrong arguments. */
export class Wrong {
  readonly #random: RandomInteger;

  constructor(random: RandomInteger) {
    this.#random = random;
  }

  number(): number {
    return this.#of(NUMBERS) as number;
  }

  token(): number {
    return this.#of(TOKENS) as number;
  }

  fd(): number {
    return this.#of(FDS) as number;
  }

  path(): string {
    return this.#of(PATHS) as string;
  }

  memory(): Uint8Array {
    return this.#of(MEMORIES) as Uint8Array;
  }

  #of(values: readonly unknown[]): unknown {
    return values[this.#random(values.length)];
  }
}
