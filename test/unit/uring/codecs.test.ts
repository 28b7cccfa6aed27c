/**
 * Socket addresses, statx answers and the opcode table: what is encoded is decoded, and agrees with
 * Node and with the running kernel.
 */

import assert from 'node:assert/strict';
import { SocketAddress } from 'node:net';
import { release } from 'node:os';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';

import { probe } from 'annulus';
import { decodeSocketAddress, decodeStatx, encodeSocketAddress, OP, OPCODES } from 'annulus/uring';
import { needs } from '../support/requests.js';
import { printedSeed } from '../../support/random.js';

const seed = printedSeed();

const port = fc.integer({ min: 0, max: 65535 });

describe('socket addresses', () => {
  it('survive the way there and back: IPv4', () => {
    fc.assert(
      fc.property(fc.ipV4(), port, (address, number) => {
        const encoded = encodeSocketAddress({ address, port: number });
        assert.equal(encoded.length, 16);
        assert.deepEqual(decodeSocketAddress(encoded), { address, port: number });
      }),
      { seed },
    );
  });

  it('survive the way there and back: IPv6, in the form Node writes', () => {
    fc.assert(
      fc.property(fc.ipV6(), port, fc.nat(1000), (address, number, scopeId) => {
        const encoded = encodeSocketAddress({ address, port: number, scopeId });
        assert.equal(encoded.length, 28);
        const decoded = decodeSocketAddress(encoded);
        const again = encodeSocketAddress(decoded!);
        assert.deepEqual(again, encoded);
        // Node writes addresses that embed IPv4 in their dotted form.
        const { address: canonical } = new SocketAddress({ address, family: 'ipv6' });
        if (!canonical.includes('.')) {
          assert.deepEqual(decoded, { address: canonical, port: number, scopeId });
        }
      }),
      { seed, numRuns: 500 },
    );
  });

  it('survive the way there and back: paths and abstract names', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
    const path = text.filter((value) => !value.includes('\0'));
    fc.assert(
      fc.property(path, fc.boolean(), (name, abstract) => {
        const address = { path: abstract ? `\0${name}` : name };
        assert.deepEqual(decodeSocketAddress(encodeSocketAddress(address)), address);
      }),
      { seed },
    );
  });

  it('are refused when they are none, with the value', () => {
    const invalid = { code: 'ERR_INVALID_ARG_VALUE' };
    assert.throws(() => encodeSocketAddress({ address: 'localhost', port: 1 }), {
      ...invalid,
      message: /Received localhost/,
    });
    for (const number of [-1, 65536, 1.5]) {
      assert.throws(() => encodeSocketAddress({ address: '::', port: number }), {
        code: 'ERR_OUT_OF_RANGE',
      });
    }
    assert.throws(() => encodeSocketAddress({ path: '' }), invalid);
    assert.throws(() => encodeSocketAddress({ path: 'x'.repeat(108) }), {
      ...invalid,
      message: /Received 108/,
    });
    assert.equal(encodeSocketAddress({ path: 'x'.repeat(107) }).length, 110);
    assert.equal(encodeSocketAddress({ path: `\0${'x'.repeat(107)}` }).length, 110);
    assert.equal(decodeSocketAddress(new Uint8Array(0)), undefined);
    assert.equal(decodeSocketAddress(Uint8Array.of(99, 0, 1, 2)), undefined);
  });
});

describe('statx answers', () => {
  it('are decoded at the offsets of the struct', () => {
    const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const size = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    const seconds = fc.bigInt({ min: -(2n ** 33n), max: 2n ** 33n });
    const nanoseconds = fc.integer({ min: 0, max: 999_999_999 });
    fc.assert(
      fc.property(u32, u32, u32, fc.nat(65535), size, seconds, nanoseconds, (...fields) => {
        const [links, uid, gid, mode, bytes, time, rest] = fields;
        const view = new DataView(new ArrayBuffer(300), 20);
        view.setUint32(16, links, true);
        view.setUint32(20, uid, true);
        view.setUint32(24, gid, true);
        view.setUint16(28, mode, true);
        view.setBigUint64(40, BigInt(bytes), true);
        view.setBigInt64(112, time, true);
        view.setUint32(120, rest, true);
        const status = decodeStatx(new Uint8Array(view.buffer, 20));
        assert.deepEqual(
          [status.links, status.uid, status.gid, status.mode, status.size],
          [links, uid, gid, mode, bytes],
        );
        assert.equal(status.modifyTime, time * 1_000_000_000n + BigInt(rest));
      }),
      { seed },
    );
  });

  it('are refused when too short', () => {
    assert.throws(() => decodeStatx(new Uint8Array(255)), {
      code: 'ERR_OUT_OF_RANGE',
      message: /Received 255/,
    });
  });
});

/** Whether Linux `version` is `since` or newer. */
function atLeast(version: string, since: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => parseInt(part, 10));
  const [sinceMajor = 0, sinceMinor = 0] = since.split('.').map(Number);
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
}

describe('the opcode table', () => {
  it('numbers its rows, each with a kernel release', () => {
    OPCODES.forEach((opcode, index) => {
      assert.equal(opcode.code, index);
      assert.equal(OP[opcode.name], index);
      assert.match(opcode.since, /^[5-9]\.\d+$/);
    });
    assert.equal(new Set(OPCODES.map(({ name }) => name)).size, OPCODES.length);
  });

  it('orders its rows by release', () => {
    const versions = OPCODES.map(({ since }) => since);
    versions.slice(1).forEach((since, index) => {
      assert.ok(atLeast(since, versions[index]!), `${OPCODES[index + 1]?.name} is older`);
    });
  });

  it('agrees with what the kernel reports, as far as its release explains', needs(), (t) => {
    const { opcodes } = probe();
    const optional = /EPOLL|FUTEX|SEND|RECV|ACCEPT|CONNECT|SOCKET|SHUTDOWN|BIND|LISTEN/;
    for (const { name, since } of OPCODES) {
      if (opcodes.has(name) || !atLeast(release(), since)) continue;
      // What a kernel's configuration can leave out.
      if (optional.test(name)) continue;
      assert.fail(
        `Linux ${release()} does not have ${name}, which the table says is there since ${since}`,
      );
    }
    // Distributions take over opcodes from newer releases: that is no mistake of the table.
    const newer = OPCODES.filter(
      ({ name, since }) => opcodes.has(name) && !atLeast(release(), since),
    );
    const names = newer.map(({ name }) => name);
    if (names.length > 0) t.diagnostic(`newer than its release: ${names.join()}`);
  });
});
