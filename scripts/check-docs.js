// Checks that each error code has its heading in docs/errors.md, and that each link to a file leads to one.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { filesBelow, reportViolations, root, run, textOf } from './tree.js';

const errorsFile = 'docs/errors.md';

/** Codes that are Node's own; Node documents them. */
const nodeCodes =
  /^ERR_(?:INVALID_ARG_\w+|INVALID_STATE|INVALID_THIS|OUT_OF_RANGE|STREAM_\w+|DLOPEN_FAILED|\w*MODULE_NOT_FOUND)$/;

/** @returns {string[]} */
function checkErrorCodes() {
  const headings = new Set(textOf(errorsFile).match(/(?<=^#+ `?)ERR_\w+/gm));
  const violations = [];
  const used = new Set();
  for (const file of filesBelow('src', /\.ts$/)) {
    for (const [index, line] of textOf(file).split('\n').entries()) {
      for (const [, code = ''] of line.matchAll(/['"`](ERR_[A-Z0-9_]+)['"`]/g)) {
        if (nodeCodes.test(code)) continue;
        used.add(code);
        if (headings.has(code)) continue;
        violations.push(`${file}:${index + 1}: ${code} has no heading in ${errorsFile}`);
      }
    }
  }
  for (const code of headings) {
    if (!used.has(code)) violations.push(`${errorsFile}:1: ${code} is not in src/`);
  }
  return violations;
}

/** @returns {string[]} */
function checkLinks() {
  const violations = [];
  const documents = [
    'README.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    'SECURITY.md',
    ...filesBelow('docs', /\.md$/),
  ];
  for (const document of documents) {
    for (const [index, line] of textOf(document).split('\n').entries()) {
      for (const [, target = ''] of line.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)) {
        if (existsSync(join(root, dirname(document), target))) continue;
        violations.push(`${document}:${index + 1}: '${target}' does not exist`);
      }
    }
  }
  return violations;
}

await run(() => {
  const violations = [...checkErrorCodes(), ...checkLinks()];
  return reportViolations(violations);
});
