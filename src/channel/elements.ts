/**
 * What the elements of a channel can be: those of a typed array, or records of so many bytes.
 */
import { checkInteger, invalidArgType, invalidState } from '../sys/errors.ts';
import { MAX_CAPACITY } from './layout.ts';

/** Any typed array. */
export type ElementArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** A typed array's constructor, such as `Float32Array`. */
export interface ElementArrayType<A extends ElementArray = ElementArray> {
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
  readonly prototype: A;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): A;
}

/** A record of so many bytes; a run of them is a `Uint8Array`. */
export interface RecordType {
  readonly bytes: number;
}

/** What a channel's elements are. */
export type ElementType<A extends ElementArray = ElementArray> = ElementArrayType<A> | RecordType;

/** Numbers of the types in a channel's header; a record is 0. */
const TYPES: readonly (ElementArrayType | undefined)[] = [
  undefined,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as readonly (ElementArrayType | undefined)[];

/** The number and the bytes of a type, for a channel's header. */
export function describeElements(type: ElementType): { kind: number; unit: number } {
  if (typeof type === 'function') {
    const kind = TYPES.indexOf(type);
    if (kind > 0) return { kind, unit: type.BYTES_PER_ELEMENT };
  } else if (typeof type === 'object' && type !== null) {
    checkInteger('type.bytes', type.bytes, 1, MAX_CAPACITY);
    return { kind: 0, unit: type.bytes };
  }
  throw invalidArgType('type', "a typed array's constructor or { bytes }", type);
}

/** What views of the elements are made with, as a channel's header names it. */
export interface ElementView {
  readonly View: ElementArrayType;
  /** Members of the view that one element has: 1, or the bytes of a record. */
  readonly width: number;
}

/** The views of a channel's elements; undefined if its header names none there are. */
export function elementView(kind: number, unit: number): ElementView | undefined {
  if (kind === 0) return { View: TYPES[2]!, width: unit };
  const View = TYPES[kind];
  return View?.BYTES_PER_ELEMENT === unit ? { View, width: 1 } : undefined;
}

/** A view of all of a channel's memory, for single elements. */
export function allElements(buffer: ArrayBuffer, { View }: ElementView): ElementArray {
  return new View(buffer, 0, Math.floor(buffer.byteLength / View.BYTES_PER_ELEMENT));
}

/** What `push()` and `shift()` say of records. */
export function noNumbers(): Error {
  return invalidState(
    'The elements are records, which claim() and content() show; push() and shift() are for numbers.',
  );
}
