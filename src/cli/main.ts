/**
 * The `annulus` command: its verbs and exit codes.
 */
import { readFileSync } from 'node:fs';

import { Command, CommanderError } from 'commander';

import { registerChannels } from './channels/command.ts';
import { registerDoctor } from './doctor/command.ts';
import { registerPipe } from './pipe/command.ts';
import { registerRelay } from './relay/command.ts';

/** Wrong arguments: nothing was tried. */
const USAGE = 2;

/** Runs one verb; resolves to the exit code of the process. */
export async function main(argv: string[]): Promise<number> {
  let code = 0;
  const finish = (result: number): void => {
    code = result;
  };
  const program = new Command('annulus')
    .description('Kernel-speed I/O for Node.js: io_uring, mirrored rings, shared-memory channels.')
    .version(version())
    .showHelpAfterError('(run it with --help for what it takes)')
    .exitOverride();
  registerRelay(program, finish);
  registerPipe(program, finish);
  registerChannels(program, finish);
  registerDoctor(program, finish);
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : USAGE;
  }
  return code;
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
