/**
 * Words by which the two threads of a test take turns.
 */

/** Rounds the test has begun, and steps the sleeper has made in them: it asks, it was served. */
export const TURN = { BEGUN: 0, STEP: 1 } as const;
