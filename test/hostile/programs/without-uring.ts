/**
 * Run where io_uring is refused: rings fail by name, memory and channels work.
 */

import assert from 'node:assert/strict';

import { alloc, MirroredRing } from 'annulus';
import { Channel } from 'annulus/channel';
import { Proactor } from 'annulus/proactor';
import { probe, Ring } from 'annulus/uring';

const errno = process.argv[2]!;

for (const make of [(): Ring => new Ring(), (): Proactor => Proactor.default()]) {
  assert.throws(make, (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ERR_ANNULUS_URING_UNAVAILABLE');
    assert.match(error.message, /A seccomp filter forbids it.*Run the container with a profile/s);
    assert.equal((error.cause as { code?: string }).code, errno);
    return true;
  });
}
const found = probe();
assert.equal(found.available, false);
assert.equal(found.cause, 'seccomp');

alloc(10_000).fill(7);
using mirrored = MirroredRing.create(4096);
mirrored.write((free) => free.fill(1).length);
assert.equal(mirrored.length, mirrored.capacity);

const { sender, receiver } = Channel.create({ capacity: 65_536 });
sender.send((free) => {
  free.fill(9, 0, 5);
  return 5;
});
assert.equal(await receiver.whenReadable(5), true);
assert.deepEqual([...receiver.content()], [9, 9, 9, 9, 9]);
receiver.consume(5);
sender.close();
receiver.close();
process.stdout.write('done\n');
