/** A chunk copied into memory of its own, and out of it: no ring at all. */

import { measureTransfers } from '../support/transfer.ts';

measureTransfers((source, sink, count) => {
  const buffer = Buffer.allocUnsafe(count);
  buffer.set(source);
  sink.set(buffer);
});
