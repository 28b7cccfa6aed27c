/**
 * `annulus channels` finds what processes hold, and believes nothing of it.
 */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';

import { Channel } from 'annulus/channel';

import { WORD } from '#src/channel/layout.js';
import type { ChannelSample } from '#src/cli/channels/sample.js';
import { cliCommand } from '../support/cli.ts';
import { runCommand } from '../support/program.ts';
import { until } from '../support/relay.ts';

const INTERVAL = ['--interval', '50'];

/** The channels this process holds, as the command sees them; by their capacity. */
async function held(): Promise<Map<number, ChannelSample>> {
  const { code, stdout, stderr } = await runCommand(
    cliCommand(['channels', '--json', ...INTERVAL]),
  );
  assert.equal(code, 0, stderr);
  const { channels } = JSON.parse(stdout) as { channels: ChannelSample[] };
  const ours = channels.filter(({ holders }) => holders.includes(process.pid));
  return new Map(ours.map((channel) => [channel.capacity, channel]));
}

const hasScript = spawnSync('script', ['--version']).status === 0;

describe('annulus channels', () => {
  it('shows kind, fill, both sides and their processes', async () => {
    using bytes = Channel.create({ capacity: 4096 });
    using messages = Channel.create({ capacity: 8192 - 8, messages: true });
    using floats = Channel.create({ capacity: 4096, type: Float32Array });
    await bytes.sender.write(new Uint8Array(1024));
    await messages.sender.write(new Uint8Array(8));
    messages.sender.flush();
    bytes.receiver.close();
    assert.equal(floats.capacity, 4096);
    const seen = await held();
    const me = { state: 'attached', pid: process.pid };
    const first = seen.get(4096);
    assert.equal(first?.carries, 'bytes');
    assert.equal(first.fill, 0.25);
    assert.equal(first.bytesPerSecond, 0);
    assert.deepEqual({ ...first.sender, command: undefined }, { ...me, command: undefined });
    assert.equal(first.receiver.state, 'closed');
    const second = seen.get(8192);
    assert.equal(second?.carries, 'messages');
    assert.equal(second.used, 16);
    assert.equal(second.receiver.state, 'vacant');
    assert.equal(seen.get(16_384)?.carries, 'elements');
    bytes.sender.close();
    messages.sender.close();
  });

  it('calls a side gone whose process does not hold it, and nonsense nonsense', async () => {
    using channel = Channel.create({ capacity: 4096 });
    using broken = Channel.create({ capacity: 8192 });
    const words = ({ shared }: object & { shared?: { words: Int32Array } }): Int32Array =>
      shared!.words;
    words(channel.sender)[WORD.SENDER_PID] = 2 ** 30;
    words(broken.sender)[WORD.TAIL] = 8192 * 2;
    const seen = await held();
    assert.equal(seen.get(4096)?.sender.state, 'gone');
    assert.equal(seen.get(8192), undefined);
    assert.equal(seen.get(0)?.carries, 'nonsense');
    channel.sender.close();
    broken.sender.close();
  });

  it('prints a table without a terminal', async () => {
    using channel = Channel.create({ capacity: 4096 });
    const { code, stdout } = await runCommand(cliCommand(['channels', ...INTERVAL]));
    assert.equal(code, 0);
    assert.match(stdout, /^CARRIES +CAPACITY +FILL +RATE +WRITES\/S +SENDER +RECEIVER\n/);
    assert.doesNotMatch(stdout, /\x1b/); // oxlint-disable-line no-control-regex
    channel.sender.close();
  });

  it(
    'refreshes it on a terminal until it is interrupted',
    { skip: !hasScript && 'there is no script(1) to make a terminal' },
    async () => {
      using channel = Channel.create({ capacity: 4096 });
      const command = cliCommand(['channels', ...INTERVAL]).map((word) => `'${word}'`);
      // script(1) makes the terminal, and passes on the exit code. `exec`: of some shells the command would be
      // a child, and Ctrl-C would end the shell as well, by its own exit code.
      const child = spawn('script', ['-qec', `exec ${command.join(' ')}`, '/dev/null'], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let stdout = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      const ended = once(child, 'exit');
      await until(() => stdout.split('\x1b[H').length > 2); // drawn twice
      child.stdin.write('\x03'); // Ctrl-C
      assert.deepEqual(await ended, [0, null]);
      assert.match(stdout, /\x1b\[\?25h/, 'the cursor is back'); // oxlint-disable-line no-control-regex
      channel.sender.close();
    },
  );

  it('refuses an interval that is none', async () => {
    const { code } = await runCommand(cliCommand(['channels', '--interval', 'often']));
    assert.equal(code, 2);
  });
});
