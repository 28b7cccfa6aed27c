// `node scripts/support-matrix.js [--check]`: writes docs/support.md and the block of README.md from the tables of
// src/uring, or with --check fails if they are out of date.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { ScriptError, reportViolations, root, run, textOf } from './tree.js';

/**
 * @typedef {{ name: string, since: string }} Row
 * @typedef {Row & { code: number, methods: string[], fields: string }} Opcode
 * @typedef {Row & { code: number, method: string }} Registration
 * @typedef {Row & { bit: number, use: string }} Flag
 * @typedef {{ OPCODES: Opcode[], REGISTRATIONS: Registration[], SETUP_FLAGS: Flag[], FEATURES: Flag[],
 *   ENTER_FLAGS: Flag[], SQE_FLAGS: Flag[] }} Tables
 */

const block = /(?<=<!-- support: [^\n]* -->\n).*?(?=<!-- end of support -->)/s;

/** @param {string[]} cells */
const line = (cells) => `| ${cells.join(' | ')} |`;

/**
 * @param {string} what
 * @param {Row[]} rows
 */
const shortRow = (what, rows) =>
  `| ${what} | ${rows.length} | ${rows.at(-1)?.name} (Linux ${rows.at(-1)?.since}) |`;

/**
 * @param {string} title
 * @param {string[]} columns
 * @param {string[][]} rows
 * @returns {string[]} The lines of a section with a table.
 */
function section(title, columns, rows) {
  return [`## ${title}`, '', line(columns), line(columns.map(() => '---')), ...rows.map(line), ''];
}

/**
 * @param {string} title
 * @param {Flag[]} flags
 * @returns {string[]}
 */
function flagSection(title, flags) {
  const rows = flags.map(({ name, bit, since, use }) => [
    `\`${name}\``,
    `0x${bit.toString(16)}`,
    since,
    use,
  ]);
  return section(title, ['Flag', 'Bit', 'Linux', 'Used by'], rows);
}

/**
 * @param {Tables} tables
 * @returns {string}
 */
function describeAll(tables) {
  const opcodes = tables.OPCODES.map(({ code, name, since, methods, fields }) => [
    String(code),
    `\`${name}\``,
    since,
    methods.map((method) => `\`${method}\``).join(', '),
    fields,
  ]);
  const registrations = tables.REGISTRATIONS.map(({ code, name, since, method }) => [
    String(code),
    `\`${name}\``,
    since,
    `\`${method}\``,
  ]);
  return [
    '# Support of the io_uring ABI',
    '',
    'Written by `node scripts/support-matrix.js` from the tables of `annulus/uring`. What the running kernel does not',
    'have is refused with [`ERR_ANNULUS_UNSUPPORTED`](errors.md#err_annulus_unsupported); `annulus doctor` and',
    '`probe()` say what it has.',
    '',
    ...section('Requests', ['Code', 'Opcode', 'Linux', 'Methods', 'Fields'], opcodes),
    ...section('Registrations', ['Code', 'Operation', 'Linux', 'Made by'], registrations),
    ...flagSection('Set-up flags', tables.SETUP_FLAGS),
    ...flagSection('Features', tables.FEATURES),
    ...flagSection('Flags of entering', tables.ENTER_FLAGS),
    ...flagSection('Flags of a request', tables.SQE_FLAGS),
  ].join('\n');
}

/**
 * @param {Tables} tables
 * @returns {string} The block in README.md.
 */
function describeShortly(tables) {
  const { OPCODES, REGISTRATIONS, SETUP_FLAGS, FEATURES, ENTER_FLAGS, SQE_FLAGS } = tables;
  return [
    '',
    '| Of the io_uring ABI | Covered | Up to |',
    '| --- | --- | --- |',
    shortRow('Request opcodes', OPCODES),
    shortRow('Registrations', REGISTRATIONS),
    shortRow('Set-up flags', SETUP_FLAGS),
    shortRow('Features', FEATURES),
    shortRow('Flags of entering', ENTER_FLAGS),
    shortRow('Flags of a request', SQE_FLAGS),
    '',
    '',
  ].join('\n');
}

/**
 * @param {string} file
 * @param {string} text
 * @returns {Promise<string>}
 */
async function formatted(file, text) {
  const path = join(root, file);
  return format(text, { ...(await resolveConfig(path)), filepath: path });
}

await run(async () => {
  /** @type {Tables} */
  const tables = await import(pathToFileURL(join(root, 'dist/uring/index.js')).href);
  const readme = textOf('README.md');
  if (!block.test(readme)) throw new ScriptError('README.md has no place marked for the support');
  const written = new Map([
    ['docs/support.md', await formatted('docs/support.md', describeAll(tables))],
    [
      'README.md',
      await formatted(
        'README.md',
        readme.replace(block, () => describeShortly(tables)),
      ),
    ],
  ]);
  if (process.argv[2] !== '--check') {
    for (const [file, text] of written) writeFileSync(join(root, file), text);
    return 0;
  }
  const stale = [...written].filter(([file, text]) => textOf(file) !== text);
  return reportViolations(
    stale.map(([file]) => `${file}:1: out of date; run 'node scripts/support-matrix.js'`),
  );
});
