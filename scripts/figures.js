// `node scripts/figures.js FILE`: writes the figures of a benchmark run into docs/figures.md, and the main ones into
// README.md, where FILE is what `npm run bench -- --json FILE` wrote.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { ScriptError, root, run } from './tree.js';

/**
 * @typedef {{ case: string, placement: string, subject: string, unit: string, median: number }} Result
 * @typedef {{ case: string, placement: string, subject: string, peer: string, ratio: number }} Ratio
 * @typedef {{ kernel: string, architecture: string, cpu: string, cores: number, node: string, date: string }} Machine
 * @typedef {{ machine: Machine, results: Result[], ratios: Ratio[] }} Results
 */

/** What README.md leaves to docs/figures.md: processor times but the server's, and sizes between the extremes. */
const details = /\.filewrite\.(?:256|512|1024|2048)|(?<!\.echo)\.cpu$|\.views\b/;

const section = /(?<=<!-- figures: [^\n]* -->\n).*?(?=<!-- end of figures -->)/s;

/**
 * @param {number} value
 * @param {string} unit - `op/s`, `B/s`, `us`, ...
 * @returns {string} Three significant digits with a prefix: `1.53 M op/s`.
 */
function figure(value, unit) {
  if (unit === 'ns') return `${Number(value.toPrecision(3))} ns`;
  const [factor, prefix] =
    value >= 1e9 ? [1e9, 'G'] : value >= 1e6 ? [1e6, 'M'] : value >= 1e3 ? [1e3, 'k'] : [1, ''];
  return `${Number((value / factor).toPrecision(3))} ${prefix}${unit}`;
}

/**
 * @param {Results} results
 * @param {string} name - Of the case.
 * @param {string} subject - `annulus`, or another of ours.
 * @param {string} placement
 * @returns {string} The ratio to each peer, `-` where nothing was measured.
 */
function ratiosTo({ ratios }, name, subject, placement) {
  const here = ratios.filter(
    (ratio) => ratio.case === name && ratio.subject === subject && ratio.placement === placement,
  );
  const cells = here.map(({ peer, ratio }) => {
    const text = ratio >= 99.5 ? ratio.toFixed(0) : ratio.toPrecision(2);
    return `${peer} ${text}`;
  });
  return cells.join(', ') || '-';
}

/**
 * @param {Results} results
 * @param {(name: string) => boolean} wanted - Chooses cases by name.
 * @returns {string} A paragraph about the machine, and a table with one row a case and subject of ours.
 */
function describeFigures(results, wanted) {
  const { machine } = results;
  const measured = results.results.filter(({ subject }) => subject.startsWith('annulus'));
  const cases = new Set(measured.map((result) => result.case).filter(wanted));
  const rows = [...cases].flatMap((name) => {
    const compared = results.ratios.filter((ratio) => ratio.case === name);
    const subjects = new Set(['annulus', ...compared.map((ratio) => ratio.subject)]);
    return [...subjects].map((subject) => {
      // The first of a case is unpinned, where it is measured so.
      const ours = results.results.find((one) => one.case === name && one.subject === subject);
      const median = ours === undefined ? '-' : figure(ours.median, ours.unit);
      const [free, pinned] = ['unpinned', 'pinned'].map((placement) =>
        ratiosTo(results, name, subject, placement),
      );
      const label = subject === 'annulus' ? `\`${name}\`` : `\`${name}\`, ${subject}`;
      return `| ${label} | ${median} | ${free} | ${pinned} |`;
    });
  });
  const machineText = `${machine.cpu}, ${machine.cores} CPUs, ${machine.kernel}`;
  const where = `${machineText}, Node ${machine.node}, ${machine.date.slice(0, 10)}`;
  return [
    '',
    `Measured on ${where}:`,
    '',
    '| Case | annulus | Times better than, unpinned | Pinned |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    '',
  ].join('\n');
}

/**
 * @param {string} name - Of a document with a place marked for figures.
 * @param {string} figures
 */
async function fill(name, figures) {
  const path = join(root, name);
  const text = readFileSync(path, 'utf8');
  if (!section.test(text)) throw new ScriptError(`${name} has no place marked for the figures`);
  const written = text.replace(section, () => figures);
  const options = { ...(await resolveConfig(path)), filepath: path };
  writeFileSync(path, await format(written, options));
}

await run(async () => {
  const file = process.argv[2];
  if (file === undefined) throw new ScriptError('usage: node scripts/figures.js FILE');
  /** @type {Results} */
  const results = JSON.parse(readFileSync(file, 'utf8'));
  await fill(
    'README.md',
    describeFigures(results, (name) => !details.test(name)),
  );
  await fill(
    'docs/figures.md',
    describeFigures(results, () => true),
  );
});
