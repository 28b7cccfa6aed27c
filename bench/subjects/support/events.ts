/** What the object cases send: records of an event log, as a program would write them. */

/** One record. */
export interface Event {
  readonly sequence: number;
  readonly kind: string;
  readonly user: { readonly id: number; readonly name: string };
  readonly tags: readonly string[];
  readonly duration: number;
  readonly succeeded: boolean;
}

const KINDS = ['open', 'read', 'write', 'close'];

/** Record number `sequence`, a new object. */
export function makeEvent(sequence: number): Event {
  return {
    sequence,
    kind: KINDS[sequence & 3]!,
    user: { id: sequence % 1000, name: `user-${sequence % 1000}` },
    tags: ['benchmark', 'channel'],
    duration: (sequence & 255) / 4,
    succeeded: (sequence & 7) !== 0,
  };
}

/**
 * Verifies a record, field by field.
 *
 * @throws {Error} when it is not number `sequence`.
 */
export function checkEvent(event: Event, sequence: number): void {
  const matches =
    event.sequence === sequence &&
    event.kind === KINDS[sequence & 3] &&
    event.user.id === sequence % 1000 &&
    event.user.name === `user-${sequence % 1000}` &&
    event.tags.length === 2 &&
    event.tags[1] === 'channel' &&
    event.duration === (sequence & 255) / 4 &&
    event.succeeded === ((sequence & 7) !== 0);
  if (!matches) throw new Error(`object ${sequence} is wrong: ${JSON.stringify(event)}`);
}
