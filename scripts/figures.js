// `node scripts/figures.js FILE`: writes the figures of a benchmark run into README.md, where FILE is what
// `npm run bench -- --json FILE` wrote.

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
 * @returns {string} A paragraph about the machine, and a table with one row a case and subject of ours.
 */
function describeFigures(results) {
  const { machine } = results;
  const cases = new Set(results.results.map((result) => result.case));
  const rows = [...cases].flatMap((name) => {
    const compared = results.ratios.filter((ratio) => ratio.case === name);
    const subjects = new Set(['annulus', ...compared.map((ratio) => ratio.subject)]);
    return [...subjects].map((subject) => {
      // The first of a case is unpinned, where it is measured so.
      const ours = results.results.find((one) => one.case === name && one.subject === subject);
      const measured = ours === undefined ? '-' : figure(ours.median, ours.unit);
      const [free, pinned] = ['unpinned', 'pinned'].map((placement) =>
        ratiosTo(results, name, subject, placement),
      );
      const label = subject === 'annulus' ? `\`${name}\`` : `\`${name}\`, ${subject}`;
      return `| ${label} | ${measured} | ${free} | ${pinned} |`;
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

await run(async () => {
  const file = process.argv[2];
  if (file === undefined) throw new ScriptError('usage: node scripts/figures.js FILE');
  /** @type {Results} */
  const results = JSON.parse(readFileSync(file, 'utf8'));
  const readme = join(root, 'README.md');
  const text = readFileSync(readme, 'utf8');
  if (!section.test(text)) throw new ScriptError('README.md has no place marked for the figures');
  const written = text.replace(section, () => describeFigures(results));
  const options = { ...(await resolveConfig(readme)), filepath: readme };
  writeFileSync(readme, await format(written, options));
});
