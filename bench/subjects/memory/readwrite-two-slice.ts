/** A chunk copied into a ring of two slices, and out of it. */

import { numberOption } from '../support/options.ts';
import { measureTransfers } from '../support/transfer.ts';
import { TwoSliceRing } from '../support/two-slice.ts';

const ring = new TwoSliceRing(numberOption('capacity'));

measureTransfers((source, sink, count) => {
  ring.write(source);
  ring.copyTo(sink, ring.head, count);
  ring.consume(count);
});
