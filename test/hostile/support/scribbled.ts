/**
 * What a scribbler and those that start it share.
 */

import { Region } from 'annulus/memory';

/** Words of the memory by which a scribbler is watched and ended. */
export const CONTROL = { STOP: 0, CORRUPTIONS: 1 } as const;

/** Maps a file in memory. */
export function mapShared(fd: number, bytes: number): Region {
  return Region.map(bytes, [{ at: 0, length: bytes, fd, offset: 0 }]);
}
