/**
 * Programs run by an ordinary user, with a limit on the memory he may lock.
 */

import { spawnSync } from 'node:child_process';

/** The user most tests run programs as. */
export const NOBODY = 65_534;

/** A command line that makes an ordinary user of us, with so many bytes he may lock. */
export function asUser(memlock: number, user: number = NOBODY): string[] {
  const limit = ['prlimit', `--memlock=${memlock}:${memlock}`];
  if (process.getuid?.() !== 0) return limit;
  return [...limit, 'setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
}

/** Why that user cannot even run this command, which must do no harm, or false. */
export function withoutUser(memlock: number, command: readonly string[]): string | false {
  // Through a shell: what is given away along with the user id must be gone when node is looked for.
  const shell = ['sh', '-c', 'exec "$0" "$@"'];
  const [file, ...args] = [...asUser(memlock), ...shell, ...command];
  const { status, stderr, error } = spawnSync(file!, args, { encoding: 'utf8' });
  if (status === 0) return false;
  return `an ordinary user cannot run this clone here: ${error?.message ?? stderr.slice(0, 500)}`;
}
