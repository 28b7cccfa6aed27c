/**
 * Children inherit channels by name, however they are started.
 */

import assert from 'node:assert/strict';
import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Channel } from 'annulus/channel';
import type { ChildBase, ChildOptions } from 'annulus/channel';

import { openFiles } from '../support/census.ts';
import { without } from '../support/skip.ts';

const program = fileURLToPath(new URL('./programs/inherit.js', import.meta.url));
const env = { ...process.env, NODE_TEST_CONTEXT: undefined };

const STARTS: Record<string, { base: ChildBase; start: (options: ChildOptions) => ChildProcess }> =
  {
    'spawn()': { base: { env }, start: (options) => spawn(process.execPath, [program], options) },
    'fork()': {
      base: { env, stdio: ['inherit', 'inherit', 'inherit', 'ipc'] },
      start: (options) => fork(program, options),
    },
    'spawn(), with other descriptors before': {
      base: { env, stdio: ['ignore', 'inherit', 'inherit', 'ignore', 'pipe'] },
      start: (options) => spawn(process.execPath, [program], options),
    },
  };

describe('a child', () => {
  for (const [name, { base, start }] of Object.entries(STARTS)) {
    it(
      `of ${name} inherits two channels by their names, and passes on none`,
      { skip: without('ls') },
      async () => {
        const before = openFiles().filter((path) => path.includes('annulus'));
        const questions = Channel.create({ capacity: 4096, messages: true });
        const answers = Channel.create({ capacity: 4096, codec: 'json', signal: 'eventfd' });
        const first = questions.childOptions('receiver', { ...base, name: 'questions' });
        const both = answers.childOptions('sender', { ...first, name: 'answers' });
        const child = start(both);
        const ended = once(child, 'exit');
        questions.release('receiver');
        answers.release('sender');
        await questions.sender.write(Buffer.from('who are you?'));
        questions.sender.end();
        await answers.receiver.whenReadable();
        assert.deepEqual(answers.receiver.read(), {
          heard: 'who are you?',
          again: 'ERR_ANNULUS_CHANNEL_TAKEN',
          variable: null,
          leaked: false,
        });
        assert.equal(await answers.receiver.whenReadable(), false);
        assert.deepEqual(await ended, [0, null]);
        answers.receiver.close();
        questions.close();
        answers.close();
        assert.deepEqual(
          openFiles().filter((path) => path.includes('annulus')),
          before,
        );
      },
    );
  }

  it('is told what it has not inherited, and a parent what it cannot give', () => {
    assert.throws(() => Channel.inherit({ role: 'receiver' }), {
      code: 'ERR_ANNULUS_CHANNEL_TAKEN',
      message: /inherited no receiver 'channel'.* there is nothing/,
    });
    assert.throws(() => Channel.inherit({ role: 'reader' as 'receiver' }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
    using channel = Channel.create({ capacity: 1 });
    using other = Channel.create({ capacity: 1 });
    const wrong = { code: 'ERR_INVALID_ARG_VALUE' };
    assert.throws(() => channel.childOptions('sender', { name: 'a b' }), wrong);
    assert.throws(() => channel.childOptions('sender', { stdio: ['inherit'] }), wrong);
    const options = channel.childOptions('sender');
    assert.deepEqual(options.stdio.slice(0, 3), ['inherit', 'inherit', 'inherit']);
    assert.throws(() => other.childOptions('sender', options), wrong);
    assert.throws(() => channel.childOptions('sender'), { code: 'ERR_ANNULUS_CHANNEL_TAKEN' });
    assert.equal(process.env['ANNULUS_CHANNELS'], undefined);
  });
});
