/**
 * The programs of examples/ do what their headers say, from a clone.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { runProgram } from '../support/program.ts';
import { withoutUring } from '../support/skip.ts';

const examples = new URL('../../../examples/', import.meta.url);

describe('examples/cp.js', { skip: withoutUring }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-test-'));
  after(() => rmSync(folder, { recursive: true }));
  const [source, copy] = [join(folder, 'source'), join(folder, 'copy')];

  for (const [bytes, flags] of [
    [0, []],
    [1_000_003, []],
    [1_000_003, ['--buffer', '4096', '--depth', '32']],
    [65_536, ['--depth', '1']],
  ] as const) {
    it(`copies ${bytes} bytes with ${flags.join(' ') || 'no flags'}`, async () => {
      writeFileSync(source, randomBytes(bytes));
      chmodSync(source, 0o640);
      writeFileSync(copy, 'a longer file was here'.repeat(bytes === 0 ? 1 : 0));
      const program = new URL('cp.js', examples);
      const outcome = await runProgram(program, [...flags, source, copy]);
      assert.deepEqual([outcome.code, outcome.stderr], [0, '']);
      assert.match(outcome.stdout, new RegExp(`^${bytes} bytes copied by`));
      assert.ok(readFileSync(copy).equals(readFileSync(source)));
    });
  }

  it('takes the permissions over, and says how it is used', async () => {
    const fresh = join(folder, 'fresh');
    writeFileSync(source, 'text');
    chmodSync(source, 0o600);
    assert.equal((await runProgram(new URL('cp.js', examples), [source, fresh])).code, 0);
    assert.equal(statSync(fresh).mode & 0o777, 0o600);
    const same = await runProgram(new URL('cp.js', examples), [source, source]);
    assert.deepEqual([same.code, readFileSync(source, 'utf8')], [1, 'text']);
    const wrong = await runProgram(new URL('cp.js', examples), [source]);
    assert.deepEqual([wrong.code, wrong.stderr.slice(0, 6)], [2, 'usage:']);
  });
});

/** One request by HTTP: status and body. */
async function ask(
  port: number,
  path: string,
  agent: Agent,
): Promise<[number | undefined, string]> {
  const [response] = (await once(get({ port, path, agent }), 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response.setEncoding('latin1')) body += chunk as string;
  return [response.statusCode, body];
}

describe('examples/tcp-server.js', { skip: withoutUring }, () => {
  it('answers many requests of many connections, and ends by a signal', async () => {
    const program = fileURLToPath(new URL('tcp-server.js', examples));
    const server = spawn(process.execPath, [program, '--port', '0', '--debug'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    });
    const ended = once(server, 'exit');
    const agent = new Agent({ keepAlive: true });
    try {
      const [line] = (await once(server.stdout, 'data')) as [Buffer];
      const port = Number(/port: (\d+)/.exec(line.toString())?.[1]);
      const asked = Array.from({ length: 50 }, () => ask(port, '/', agent));
      for (const answer of await Promise.all(asked)) {
        assert.deepEqual(answer, [200, 'hello io_uring!\n']);
      }
      assert.deepEqual(await ask(port, '/elsewhere', agent), [404, '']);
      // Connections are still open: the server ends them.
      server.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null]);
    } finally {
      server.kill('SIGKILL');
      agent.destroy();
    }
  });
});
