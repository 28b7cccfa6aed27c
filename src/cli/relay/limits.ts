/**
 * Limits: how much memory a relay's channel can have.
 */

/** Least `--memory`: a quarter of it must hold four pieces of a page, and the longest header. */
export const MEMORY_MIN: number = 64 * 1024;

/** Most `--memory`: what a channel can have. */
export const MEMORY_MAX: number = 2 ** 30;
