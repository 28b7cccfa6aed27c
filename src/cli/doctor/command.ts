/**
 * `annulus doctor`: is io_uring usable here, if not why, and what to do.
 */
import type { Command } from 'commander';

import { examine } from './examine.ts';
import { report } from './report.ts';

/**
 * Adds the verb.
 *
 * @param finish - Gets the exit code: 0 when io_uring is usable, 1 when it is not.
 */
export function registerDoctor(program: Command, finish: (code: number) => void): void {
  program
    .command('doctor')
    .description('Say whether io_uring is usable here, if not why, and what the kernel has.')
    .option('--json', 'print one JSON object')
    .action((options: { readonly json?: true }) => {
      const found = examine();
      const text = options.json === true ? `${JSON.stringify(found, null, 2)}\n` : report(found);
      process.stdout.write(text);
      finish(found.usable ? 0 : 1);
    });
}
