/** Making, touching and closing a mirrored ring. */

import { MirroredRing } from 'annulus/memory';
import { measureCreations, touch } from '../support/creation.ts';
import { numberOption } from '../support/options.ts';

const capacity = numberOption('capacity');

measureCreations(() => {
  const ring = MirroredRing.create(capacity);
  touch(ring.bytes);
  ring.close();
});
