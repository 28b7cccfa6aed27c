#!/usr/bin/env node
// The `annulus` command. In a clone it builds on first use; an installed package carries its build.

import { existsSync } from 'node:fs';

/**
 * @param {string} path - Relative to this file.
 * @returns {URL}
 */
const here = (path) => new URL(path, import.meta.url);

/** @returns {Promise<(argv: string[]) => Promise<number>>} The command line; resolves to an exit code. */
async function load() {
  if (existsSync(here('../src'))) {
    const { setup } = await import('../scripts/setup.js');
    setup();
  }
  return (await import(here('../dist/cli/main.js').href)).main;
}

const main = await load().catch((/** @type {unknown} */ error) => {
  const { message, code } = /** @type {NodeJS.ErrnoException} */ (error);
  const remedy = code === 'EMFILE' ? '. Raise the limit (ulimit -n)' : '';
  process.stderr.write(`annulus: ${message}${remedy}\n`);
  process.exitCode = 1;
});
if (main) process.exitCode = await main(process.argv.slice(2));
