/**
 * Codecs: how objects become the bytes of a message, and objects again.
 *
 * A receiver's codec gets a copy of the bytes, which nobody else can write: decoders fetch what they
 * decode more than once, and a peer that changes it in between would have them read or write beyond
 * their memory.
 */
import { deserialize, serialize } from 'node:v8';

import { AnnulusError, invalidArgType, invalidArgValue } from '../sys/errors.ts';

/** Turns values into bytes and back, such as an instance of msgpackr's `Packr`. */
export interface Codec<T> {
  /** The bytes of a value. They are copied into the channel at once, or when there is room. */
  encode(value: T): Uint8Array;
  /**
   * Encodes straight into a channel's memory where the codec can.
   *
   * @returns The bytes written, or -1 if the value does not fit into `target`.
   */
  encodeInto?(value: T, target: Uint8Array): number;
  /**
   * The value that bytes stand for.
   *
   * @param bytes - The value's own: they stay as they are.
   */
  decode(bytes: Uint8Array): T;
}

/** The codecs that need no code of the caller. */
export type CodecName = 'json' | 'text' | 'v8';

/** How the messages of one channel are written and read. */
export interface MessageCodec<T> {
  /** Its number in the channel's header. */
  readonly kind: number;
  /** What is kept of a value until it is written: bytes, text, or the value itself. */
  prepare(value: T): T | Uint8Array | string;
  /** Whether messages are views of the ring, valid until the next one is asked for. */
  readonly inPlace: boolean;
  /** Present where a codec writes into the ring itself. */
  encodeInto?(value: T, target: Uint8Array): number;
  /** Decodes `length` bytes of `memory`, which the other side can write; undefined in place. */
  readonly decode: ((memory: Buffer, at: number, length: number) => T) | undefined;
}

/** Numbers of the codecs in a channel's header. */
export const KIND = { BYTES: 0, JSON: 1, V8: 2, CUSTOM: 3, TEXT: 4 } as const;

/** Text is decoded from here: grown to the longest message. */
let scratch = Buffer.alloc(0);

function textOf(memory: Buffer, at: number, length: number): string {
  if (scratch.length < length) scratch = Buffer.allocUnsafeSlow(Math.max(4096, 2 * length));
  memory.copy(scratch, 0, at, at + length);
  return scratch.toString('utf8', 0, length);
}

function copyOf(memory: Buffer, at: number, length: number): Buffer {
  const copy = Buffer.allocUnsafe(length);
  memory.copy(copy, 0, at, at + length);
  return copy;
}

const BYTES: MessageCodec<Uint8Array> = {
  kind: KIND.BYTES,
  inPlace: true,
  prepare: (value) => {
    if (value instanceof Uint8Array) return value;
    throw invalidArgType('message', 'a Uint8Array', value);
  },
  decode: undefined,
};

const TEXT: MessageCodec<string> = {
  kind: KIND.TEXT,
  inPlace: false,
  prepare: (value) => {
    if (typeof value === 'string') return value;
    throw invalidArgType('message', 'a string', value);
  },
  decode: textOf,
};

const JSON_CODEC: MessageCodec<unknown> = {
  kind: KIND.JSON,
  inPlace: false,
  prepare: (value) => {
    const text = JSON.stringify(value) as string | undefined;
    if (text !== undefined) return text;
    throw invalidArgValue('message', 'must be something that JSON can say', value);
  },
  decode: (memory, at, length) => JSON.parse(textOf(memory, at, length)) as unknown,
};

const V8: MessageCodec<unknown> = {
  kind: KIND.V8,
  inPlace: false,
  prepare: (value) => serialize(value),
  decode: (memory, at, length) => deserialize(copyOf(memory, at, length)) as unknown,
};

const BY_NAME: Record<CodecName, MessageCodec<unknown>> = {
  json: JSON_CODEC,
  text: TEXT,
  v8: V8,
};

function custom<T>(codec: Codec<T>): MessageCodec<T> {
  const direct = codec.encodeInto === undefined ? undefined : codec.encodeInto.bind(codec);
  return {
    kind: KIND.CUSTOM,
    inPlace: false,
    prepare: direct === undefined ? (value) => encoded(codec, value) : (value) => value,
    ...(direct === undefined ? {} : { encodeInto: direct }),
    decode: (memory, at, length) => codec.decode(copyOf(memory, at, length)),
  };
}

function encoded<T>(codec: Codec<T>, value: T): Uint8Array {
  const bytes = codec.encode(value);
  if (bytes instanceof Uint8Array) return bytes;
  throw invalidArgType("codec.encode()'s result", 'a Uint8Array', bytes);
}

/** The codec a channel is made with. */
export function chooseCodec(codec: Codec<unknown> | CodecName | undefined): MessageCodec<unknown> {
  if (codec === undefined) return BYTES;
  if (typeof codec === 'string') {
    if (Object.hasOwn(BY_NAME, codec)) return BY_NAME[codec];
    throw invalidArgValue('codec', `must be one of ${Object.keys(BY_NAME).join(', ')}`, codec);
  }
  if (typeof codec?.encode === 'function' && typeof codec.decode === 'function') {
    return custom(codec);
  }
  throw invalidArgType('codec', 'a name or an object with encode() and decode()', codec);
}

/** The codec of a channel that is attached to: its header names it, or says that the caller does. */
export function codecOf(
  kind: number,
  given: Codec<unknown> | CodecName | undefined,
): MessageCodec<unknown> {
  const known = [chooseCodec(undefined), ...Object.values(BY_NAME)].find((it) => it.kind === kind);
  const chosen = given === undefined ? known : chooseCodec(given);
  if (chosen !== undefined && chosen.kind === kind) return chosen;
  throw new AnnulusError(
    'ERR_ANNULUS_CHANNEL_MODE',
    given === undefined
      ? 'This channel was made with a codec of its maker: give the same one as the option "codec".'
      : `This channel's messages have codec ${kind}, not ${chosen?.kind}.`,
  );
}
