/**
 * The proactor and the life of its process: what keeps it alive, and what is finished at its exit.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { describe, it } from 'node:test';

import { Folder, needs } from '../support/requests.js';
import { ended, run, start } from '../support/processes.js';

const available = needs('READ', 'WRITE', 'ACCEPT', 'SOCKET', 'BIND', 'LISTEN');

const listening = `
  import { Proactor, alloc } from 'annulus';
  const io = Proactor.default();
  const fd = await io.socket(2, 1);
  await io.bind(fd, { address: '127.0.0.1', port: 0 });
  await io.listen(fd);`;

describe('a process', available, () => {
  it('ends although an unreferenced request is pending', async () => {
    const { code, stdout, stderr } = await run(`${listening}
      io.unref();
      io.accept(fd).then(() => console.log('accepted'));
      console.log('end');`);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'end\n', stderr: '' });
  });

  it('stays while a request is pending, also after unref() and ref()', async () => {
    const program = `
      import { Proactor, alloc } from 'annulus';
      const io = Proactor.default();
      io.unref();
      const reading = io.read(0, alloc(8));
      io.ref();
      console.log('waiting');
      console.log(await reading);
      process.exitCode = 7;`;
    const child = start(program, ['pipe', 'pipe', 'inherit']);
    const end = ended(child);
    await once(child.stdout!, 'data');
    // The loop has nothing but the read. It is served only if the process is still there.
    child.stdin!.end('four');
    const { code, stdout } = await end;
    assert.deepEqual([code, stdout], [7, 'waiting\n4\n']);
  });

  it('has requests at the top of its program submitted', async () => {
    const { code, stdout, stderr } = await run(`
      import { Proactor, alloc } from 'annulus';
      import { openSync } from 'node:fs';
      const fd = openSync('package.json', 'r');
      Proactor.default().read(fd, alloc(1), { position: 0 }).then((n) => console.log('then', n));
      console.log('top', await Proactor.default().read(fd, new Uint8Array(2), { position: 0 }));`);
    assert.equal(stderr, '');
    assert.deepEqual([code, stdout], [0, 'then 1\ntop 2\n']);
  });

  it('does not sleep on what one proactor asks of another', async () => {
    // Nothing else must wake the loop: V8 would, to collect garbage.
    const { code, stdout } = await run(
      `
      import { openSync } from 'node:fs';
      import { alloc, Proactor } from 'annulus';
      const fd = openSync('package.json', 'r');
      const turn = () => new Promise(setImmediate);
      const read = (io) => io.read(fd, alloc(1), { position: 0 });
      for (let i = 0; i < 20; i++) {
        const [first, second] = [new Proactor({ entries: 8 }), new Proactor({ entries: 8 })];
        if (i % 2 === 0) await turn();
        await read(second);
        await read(first);
        await turn(); // what is asked now is submitted, and completes, just before the loop may sleep
        await read(first);
        await read(second);
        await turn();
        await read(second);
        await read(first);
        await turn();
        await read(new Proactor({ entries: 8 }));
        await read(new Proactor({ entries: 8 }));
      }
      console.log('end');`,
      ['--no-memory-reducer'],
    );
    assert.deepEqual([code, stdout], [0, 'end\n']);
  });

  it('ends while a proactor is idle', async () => {
    const { code, stdout } = await run(`
      import { Proactor } from 'annulus';
      const io = new Proactor({ entries: 8 });
      await io.sleep(1);
      console.log(io.closed);`);
    assert.deepEqual([code, stdout], [0, 'false\n']);
  });

  it('that calls process.exit() has its writes finished', async () => {
    using folder = new Folder();
    folder.open();
    const { code, stderr } = await run(`
      import { Proactor, alloc } from 'annulus';
      import { openSync } from 'node:fs';
      const io = new Proactor({ entries: 64, maxInFlight: 8 });
      const fd = openSync(${JSON.stringify(folder.at('file'))}, 'r+');
      for (let i = 0; i < 100; i++) {
        void io.write(fd, Buffer.alloc(1000, 65 + (i % 26)), { position: i * 1000 });
      }
      process.exit(5);`);
    assert.deepEqual([code, stderr], [5, '']);
    const expected = Buffer.concat(
      Array.from({ length: 100 }, (_, i) => Buffer.alloc(1000, 65 + (i % 26))),
    );
    assert.ok(readFileSync(folder.at('file')).equals(expected));
  });

  it('ends at once by process.exit() while requests wait', async () => {
    const { code, stderr } = await run(`${listening}
      for (let i = 0; i < 5; i++) io.accept(fd).catch(() => {});
      setImmediate(() => process.exit(3));`);
    assert.deepEqual([code, stderr], [3, '']);
  });

  it('reports an exception thrown after a completion like any other', async () => {
    const { code, stderr } = await run(`
      import { Proactor } from 'annulus';
      process.on('uncaughtException', (error) => {
        console.error(error.message);
        process.exit(9);
      });
      await Proactor.default().sleep(1);
      queueMicrotask(() => { throw new Error('mine'); });
      await Proactor.default().sleep(60_000);`);
    assert.deepEqual([code, stderr], [9, 'mine\n']);
  });
});
