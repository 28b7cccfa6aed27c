/**
 * Output: the temporary path that becomes the destination at the end, or goes away.
 */
import { chmodSync, lstatSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { codeOf, failed } from '../failure.ts';

/**
 * Gives a finished output its name.
 *
 * @param into - The destination is an empty directory that must stay, such as a mount point: what is
 *   in the output moves into it.
 */
export function commitOutput(temporary: string, destination: string, into: boolean): void {
  try {
    if (into) moveContent(temporary, destination);
    else renameSync(temporary, destination);
  } catch (error) {
    throw failed(`cannot rename the finished copy to '${destination}'`, error);
  }
}

function moveContent(temporary: string, destination: string): void {
  const mode = lstatSync(temporary).mode & 0o7777;
  chmodSync(temporary, 0o700);
  const moved: string[] = [];
  try {
    for (const name of readdirSync(temporary)) {
      renameSync(join(temporary, name), join(destination, name));
      moved.push(name);
    }
    rmdirSync(temporary);
    chmodSync(destination, mode);
  } catch (error) {
    // All or nothing, as far as it goes.
    for (const name of moved) removeOutput(join(destination, name));
    throw error;
  }
}

/** Removes an output, whatever modes its directories have by now. Nothing there is fine. */
export function removeOutput(path: string): void {
  try {
    unlock(path);
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    throw failed(`cannot remove the incomplete copy '${path}'; remove it yourself`, error);
  }
}

/** Makes directories writable to us, so that what is in them can be removed. */
function unlock(path: string): void {
  let isDirectory: boolean;
  try {
    isDirectory = lstatSync(path).isDirectory();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  if (!isDirectory) return;
  chmodSync(path, 0o700);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) unlock(join(path, entry.name));
  }
}
