/**
 * The helpers of request tests, by the name the unit tests have for them.
 */

export * from '../../support/uring.js';
