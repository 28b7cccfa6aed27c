/**
 * docs/ancestors.md is true: the tests and the names of annulus it gives are there, the constants are
 * those of the ancestors.
 */

import assert from 'node:assert/strict';
import { constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import * as annulus from 'annulus';
import * as channels from 'annulus/channel';
import * as memory from 'annulus/memory';
import * as pools from 'annulus/pool';
import * as proactor from 'annulus/proactor';
import * as uring from 'annulus/uring';
import * as abi from '#src/sys/abi.js';
import { SYSCALLS } from '#src/sys/syscalls.js';
import { needs } from './support/requests.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const exported: Record<string, unknown> = {
  ...annulus,
  ...channels,
  ...memory,
  ...pools,
  ...proactor,
  ...uring,
};
/** What is named as internal. */
const internal: Record<string, unknown> = { ...abi, SYSCALLS };

/** The rows of every table: three cells each. */
const rows = readFileSync(`${root}docs/ancestors.md`, 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\| *(?:-|Symbol|Constant)/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, symbol = '', where = '', last = '']) => ({ symbol, where, last }));

/** Tables of constants have the value in the middle and the name last. */
const values = rows.filter(({ where }) => /^(?:bit )?\d+$/.test(where));
const symbols = rows.filter((row) => !values.includes(row));

/** Names in a cell: what is set as code. */
function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
}

/** Declarations of an entry point, for what exists as a type only. */
const declarations = ['', 'channel/', 'memory/', 'pool/', 'proactor/', 'uring/']
  .map((folder) => readFileSync(`${root}dist/${folder}index.d.ts`, 'utf8'))
  .join('\n');
/** All declarations: where options are looked for. */
const everything = readdirSync(`${root}dist`, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.d.ts'))
  .map((name) => readFileSync(`${root}dist/${name}`, 'utf8'))
  .join('\n');

function isOption(name: string): boolean {
  return new RegExp(`\\breadonly ${name}\\??:`).test(everything);
}

/** What `a.b.c` is, starting from one of these objects. */
function lookUp(path: string, start: Record<string, unknown>): unknown {
  return path.split('.').reduce<unknown>((value, key) => {
    return value === undefined || value === null ? undefined : (value as never)[key];
  }, start);
}

/** Whether the package has what a name of the table says. */
function isThere(name: string, objects: Record<string, unknown>): boolean {
  const made = /^new \w+\(\{ (.*) \}\)$/.exec(name);
  if (made !== null) {
    return made[1]!.split(', ').every(isOption);
  }
  const path = name.replace(/\(.*$/, '');
  if (lookUp(path, objects) !== undefined || lookUp(path, exported) !== undefined) return true;
  return new RegExp(`export (?:type )?\\{[^}]*\\b${path}\\b`).test(declarations);
}

/** Words set as code that are no names of annulus. */
const others = new Set([
  'Promise.resolve()',
  'using',
  'annulus relay',
  'SharedArrayBuffer',
  'eventfd',
  'pipe',
  'socket',
  'none',
]);

describe('docs/ancestors.md', () => {
  it('has a row for everything', () => {
    assert.ok(symbols.length > 150, `${symbols.length} rows of symbols`);
    assert.ok(values.length > 150, `${values.length} rows of constants`);
    for (const { symbol, where, last } of rows) {
      assert.ok(symbol !== '' && where !== '' && last !== '', `${symbol}: an empty cell`);
    }
  });

  it('every test in the tables is there', () => {
    for (const { symbol, last } of symbols) {
      const [, file = '', title = ''] = /^`([\w/-]+)`: (.+)$/.exec(last) ?? [];
      const path = `${root}test/${file}.test.ts`;
      assert.ok(existsSync(path), `${symbol}: no file ${path}`);
      const quoted = new RegExp(`['"\`]${title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}['"\`]`);
      assert.match(readFileSync(path, 'utf8'), quoted, `${symbol}: no such test in ${file}`);
    }
  });

  it('every name of annulus in the tables is there', needs('OPENAT'), async () => {
    await using io = new annulus.Proactor({ entries: 8 });
    using ring = new annulus.Ring({ entries: 8 });
    await using file = await io.openFile('/dev/null', constants.O_RDONLY);
    await using listener = io.openListener({ path: `\0annulus-${process.pid}` });
    const pool = new pools.BufferPool({ bufferSize: 1, maxMemory: 1 });
    using run = await pool.allocate(1);
    using mirrored = memory.MirroredRing.create(1);
    using channel = channels.Channel.create({ capacity: 1 });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const objects = { io, ring, file, listener, mirrored, pool, run, channel, sender, receiver };
    for (const { symbol, where } of symbols) {
      for (const name of namesIn(where)) {
        if (others.has(name) || name.includes('::')) continue;
        assert.ok(isThere(name, objects) || isOption(name), `${symbol}: ${name}`);
      }
    }
  });

  it('every constant has the value it has in the ancestor', () => {
    for (const { symbol, where, last } of values) {
      if (last.startsWith('None')) continue;
      const value = where.startsWith('bit ') ? 2 ** Number(where.slice(4)) : Number(where);
      const [name = ''] = namesIn(last);
      const row = /`REGISTRATIONS`: (\w+)/.exec(last)?.[1];
      const ours =
        row === undefined
          ? lookUp(name, last.includes('(internal)') ? internal : exported)
          : uring.REGISTRATIONS.find((registration) => registration.name === row)?.code;
      assert.equal(ours, value, `${symbol}: ${last}`);
    }
  });
});
