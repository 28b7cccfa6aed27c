/**
 * What a request may have beyond a number to resolve with: a signal, a time limit, bounced memory,
 * a path for its error, a stream of results.
 */
import type { Bounced } from './bounce.ts';

/** How any request can be ended early. */
export interface RequestOptions {
  /** Ends the request when aborted; the promise rejects once the kernel has let go of it. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which the kernel ends the request, which rejects `ERR_ANNULUS_TIMEOUT`. */
  readonly timeout?: number | undefined;
}

/** Gets every completion of a multishot request. */
export interface Multishot {
  /** @param more - Whether further completions follow. */
  completed(result: number, more: boolean): void;
}

/** The slow-path state of one request. */
export interface Attachment {
  readonly options: RequestOptions | undefined;
  /** For the error. */
  readonly path?: string | undefined;
  readonly dest?: string | undefined;
  /** Pool memory the kernel really uses, and whose bytes go where afterwards. */
  readonly bounced?: Bounced | undefined;
  /** A result is a new descriptor: closed if nobody wants it any more. */
  readonly yieldsFd?: boolean | undefined;
  /** Makes what the promise resolves with, once the request has succeeded. */
  readonly decode?: (() => unknown) | undefined;
  /** Judges the result itself, errors included. */
  readonly convert?: ((result: number) => unknown) | undefined;
  readonly multishot?: Multishot | undefined;
  onAbort?: (() => void) | undefined;
  aborted?: boolean;
}
