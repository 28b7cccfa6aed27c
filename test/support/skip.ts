/**
 * Reasons to skip a test, by probe: `it(name, { skip: withoutUring }, ...)`.
 */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { probe } from 'annulus/uring';

const found = probe();

/** Why tests that need io_uring cannot run here, or false. */
export const withoutUring: string | false = found.available
  ? false
  : (found.reason ?? 'io_uring is not available');

/** Why tests that run these commands cannot run here, or false. */
export function without(...commands: string[]): string | false {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const missing = commands.filter(
    (command) => !folders.some((folder) => existsSync(join(folder, command))),
  );
  return missing.length > 0 && `not installed: ${missing.join(', ')}`;
}
