/** A chunk copied into a mirrored ring, and out of it. */

import { MirroredRing } from 'annulus/memory';
import { numberOption } from '../support/options.ts';
import { measureTransfers } from '../support/transfer.ts';

const ring = MirroredRing.create(numberOption('capacity'));
const { bytes } = ring;

measureTransfers((source, sink, count) => {
  bytes.set(source, ring.unusedOffset);
  ring.advance(count);
  sink.set(ring.content());
  ring.consume(count);
});
