/**
 * Errors have the shape of Node's: a code, and a message with the values that were wrong.
 */

import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { describe, it } from 'node:test';

import { AbortError, AnnulusError, SystemError } from 'annulus';
import * as errors from '#src/sys/errors.js';

describe('errors', () => {
  it('shapes a system error as Node does', () => {
    const path = '/nothing/here';
    const ours = new SystemError(-2, 'open', { path });
    assert.throws(
      () => openSync(path, 'r'),
      (theirs: NodeJS.ErrnoException) => {
        const { code, errno, syscall, message } = ours;
        assert.deepEqual({ code, errno, syscall, message, path: ours.path }, pickOf(theirs));
        return true;
      },
    );
  });

  it('names both paths, and its cause', () => {
    const cause = new Error('why');
    const error = new SystemError(-18, 'rename', { path: 'a', dest: 'b', cause });
    assert.match(error.message, /^EXDEV: .*, rename 'a' -> 'b'$/);
    assert.equal(error.dest, 'b');
    assert.equal(error.cause, cause);
    assert.equal(Object.hasOwn(new SystemError(-1, 'x'), 'path'), false);
  });

  it('knows the errnos io_uring uses and libuv does not, and keeps the number of others', () => {
    assert.equal(new SystemError(-62, 'timeout').code, 'ETIME');
    assert.equal(new SystemError(-53, 'io_uring_enter').code, 'EBADR');
    assert.equal(new SystemError(-4000, 'x').code, 'E4000');
  });

  it('lets results pass and throws failures', () => {
    assert.equal(errors.check(3, 'read'), 3);
    assert.throws(() => errors.check(-9, 'read'), { code: 'EBADF', syscall: 'read' });
  });

  it('has codes on errors of its own and on aborts', () => {
    const error = new AnnulusError('ERR_ANNULUS_CLOSED', 'gone');
    assert.deepEqual([error.name, error.code], ['AnnulusError', 'ERR_ANNULUS_CLOSED']);
    const abort = new AbortError('reason');
    assert.deepEqual([abort.name, abort.code, abort.cause], ['AbortError', 'ABORT_ERR', 'reason']);
  });

  it('words argument errors as Node, with the values', () => {
    assert.throws(() => errors.checkInteger('n', 7, 0, 5), {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: 'The value of "n" is out of range. It must be >= 0 and <= 5. Received 7',
    });
    assert.throws(() => errors.checkInteger('n', 1.5, 0, 5), { message: /an integer.*1\.5/ });
    assert.throws(() => errors.checkInteger('n', null as unknown as number, 0, 5), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'The "n" argument must be a number. Received null',
    });
    assert.match(errors.invalidArgType('a', 'x', {}).message, /Received an object$/);
    const invalid: NodeJS.ErrnoException = errors.invalidArgValue('a', 'is bad', 3);
    assert.equal(invalid.code, 'ERR_INVALID_ARG_VALUE');
  });
});

function pickOf(error: NodeJS.ErrnoException): object {
  const { code, errno, syscall, message, path } = error;
  return { code, errno, syscall, message, path };
}
