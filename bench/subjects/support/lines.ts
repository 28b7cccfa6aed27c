/** What the `ndjson` cases send: a JSON text a line. */

import { Meter } from './meter.ts';
import { textOption } from './options.ts';
import { report } from './report.ts';
import { sourceOf, type Source } from './source.ts';

/** The byte that ends a line. */
export const NEWLINE = 10;

const LINES = 8_192;

/** Line `number`, of 60 to 150 bytes, some beyond ASCII. */
function lineOf(number: number): string {
  const spread = Math.imul(number, 0x9e3779b1) >>> 0;
  const tags = Array.from({ length: spread % 8 }, (_, index) => `tag${(spread >>> index) % 100}`);
  const name = `${number % 16 === 0 ? 'Zoë' : 'user'}-${spread % 100_003}`;
  return JSON.stringify({ id: number, name, score: spread / 2 ** 32, tags, ok: number % 3 === 0 });
}

/**
 * Takes the lines of a stream and verifies them: in the first pass every byte, in the timed ones
 * the length and the two outermost bytes of each, or what was parsed of it.
 */
export class LineSink {
  readonly #texts: readonly string[];
  readonly #expectedSum: number;
  #count = 0;
  #sum = 0;
  #allBytes = true;

  constructor(texts: readonly string[], parse: boolean) {
    this.#texts = texts;
    let sum = 0;
    for (const [number, text] of texts.entries()) {
      // A line begins with "{" and ends with "}".
      sum += parse ? number : Buffer.byteLength(text) + 0x7b + 0x7d;
    }
    this.#expectedSum = sum | 0;
  }

  /** Takes the line that is `bytes` from `start` to before `end`. */
  take(bytes: Buffer, start: number, end: number): void {
    if (this.#allBytes) this.#verify(bytes.toString('utf8', start, end));
    this.#count = (this.#count + 1) | 0;
    this.#sum = (this.#sum + (end - start) + bytes[start]! + bytes[end - 1]!) | 0;
  }

  /** Takes the line that says `text`, and parses it. */
  parse(text: string): void {
    if (this.#allBytes) this.#verify(text);
    const { id } = JSON.parse(text) as { readonly id: number };
    this.#count = (this.#count + 1) | 0;
    this.#sum = (this.#sum + id) | 0;
  }

  /**
   * Ends a pass of the stream; returns its number of lines.
   *
   * @throws {Error} when a line is missing or wrong.
   */
  endPass(): number {
    const [count, sum] = [this.#count, this.#sum];
    if (count !== this.#texts.length || sum !== this.#expectedSum) {
      throw new Error(`${count} lines with the sum ${sum} are not those that were sent`);
    }
    this.#count = 0;
    this.#sum = 0;
    this.#allBytes = false;
    return count;
  }

  #verify(text: string): void {
    const expected = this.#texts[this.#count];
    if (text !== expected) throw new Error(`expected line ${expected}, got ${text}`);
  }
}

/** Whether lines are parsed, by the option `work=parse`, or only found. */
export const parsesLines: boolean = textOption('work', 'find') === 'parse';

/** The stream of lines that the options name. */
export function lineStream(): { readonly source: Source; readonly sink: LineSink } {
  const texts = Array.from({ length: LINES }, (_, number) => lineOf(number));
  const stream = Buffer.from(texts.map((text) => `${text}\n`).join(''));
  return { source: sourceOf(stream), sink: new LineSink(texts, parsesLines) };
}

/** Repeats `step`, which gets one chunk and takes the lines that are there, for the timed window. */
export function measureLines(source: Source, sink: LineSink, step: () => void): void {
  const meter = new Meter();
  do {
    do step();
    while (!source.atStart);
  } while (meter.tick(sink.endPass()));
  report(meter.perSecond, 'line/s', { nanoseconds: 1e9 / meter.perSecond });
}
