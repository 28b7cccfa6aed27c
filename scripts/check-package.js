// Checks what `npm pack` would publish: everything package.json promises, and nothing else.

import { spawnSync } from 'node:child_process';
import { ScriptError, filesBelow, reportViolations, root, run, textOf } from './tree.js';

/** Texts that others of the package refer to. */
const texts = ['CONTRIBUTING.md', 'SECURITY.md', 'bench/README.md', 'examples/README.md'];

/** What may be published. */
const allowed = [
  /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
  /^bin\/annulus\.js$/,
  /^dist\/.*\.(?:js|js\.map|d\.ts)$/,
  /^docs\/.*\.md$/,
  /^examples\/[a-z-]+\.(js|c)$/,
  /^prebuilds\/linux-(?:x64|arm64)\/annulus\.node$/,
];

/** @returns {string[]} The files that `npm pack` would publish. */
function packedFiles() {
  const flags = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'];
  const result = spawnSync('npm', flags, { cwd: root, encoding: 'utf8' });
  if (result.status !== 0) throw new ScriptError(`npm pack failed: ${result.stderr}`);
  /** @type {{ files: { path: string }[] }[] | Record<string, { files: { path: string }[] }>} */
  const report = JSON.parse(result.stdout);
  return Object.values(report).flatMap(({ files }) => files.map(({ path }) => path));
}

/** @returns {string[]} What package.json promises, and what every package of this project carries. */
function promisedFiles() {
  /** @type {{ exports: Record<string, string | Record<string, string>>, bin: Record<string, string> }} */
  const { exports, bin } = JSON.parse(textOf('package.json'));
  const targets = Object.values(exports).flatMap((entry) =>
    typeof entry === 'string' ? entry : Object.values(entry),
  );
  const modules = filesBelow('src', /(?<!\.d)\.ts$/).map((file) =>
    file.replace(/^src(.*)\.ts$/, 'dist$1'),
  );
  return [
    ...[...targets, ...Object.values(bin)].map((path) => path.replace(/^\.\//, '')),
    ...modules.flatMap((module) => [`${module}.js`, `${module}.d.ts`]),
    ...(process.platform === 'linux' ? [`prebuilds/linux-${process.arch}/annulus.node`] : []),
    ...filesBelow('examples', /\.(js|c)$/),
    ...texts,
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
  ];
}

await run(() => {
  const packed = packedFiles();
  const missing = [...new Set(promisedFiles())].filter((file) => !packed.includes(file));
  const extra = packed.filter(
    (file) => !texts.includes(file) && !allowed.some((pattern) => pattern.test(file)),
  );
  const violations = [
    ...missing.map((file) => `${file}: promised, but would not be published`),
    ...extra.map((file) => `${file}: would be published, but is not part of the package`),
  ];
  return reportViolations(violations);
});
