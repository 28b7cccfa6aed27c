/** The words that a thread works on until it is terminated: termination-thread.ts. */

/** What was done, atomically. */
export const DONE = { ADD: 0, EXCHANGE: 1, STORE: 2, TAKEN: 3 } as const;

/** What plain stores say was done. */
export const NOTED = {
  ADD: 32,
  ADD_MORE: 33,
  EXCHANGE: 34,
  STORE: 35,
  TAKEN: 36,
  ADOPTED: 37,
} as const;

/** What a thread is started with. */
export interface TerminationWords {
  readonly words: Int32Array;
}
