/**
 * Running the `annulus` command as a user would.
 */

const main = new URL('../../../dist/cli/main.js', import.meta.url).href;

/** What `bin/annulus.js` does, without looking whether the build is fresh. */
const SCRIPT =
  `const { main } = await import(${JSON.stringify(main)});` +
  'process.exitCode = await main(process.argv.slice(1));';

/** The command line of a verb with its arguments. */
export function cliCommand(args: readonly string[]): string[] {
  return [process.execPath, '--input-type=module', '-e', SCRIPT, '--', ...args];
}
