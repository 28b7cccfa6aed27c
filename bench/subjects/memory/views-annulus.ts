/** advance, content and consume of a mirrored ring; by `manner=offsets` without a view. */

import { MirroredRing } from 'annulus/memory';
import {
  BLOCK_BYTES,
  BLOCKS_BYTES,
  checkBlock,
  fillBlocks,
  measureViews,
} from '../support/blocks.ts';
import { textOption } from '../support/options.ts';

const ring = MirroredRing.create(BLOCKS_BYTES);
const { bytes } = ring;
fillBlocks(bytes);

function byViews(count: number): void {
  for (let number = 0; number < count; number++) {
    ring.advance(BLOCK_BYTES);
    checkBlock(ring.content()[0], number);
    ring.consume(BLOCK_BYTES);
  }
}

function byOffsets(count: number): void {
  for (let number = 0; number < count; number++) {
    ring.advance(BLOCK_BYTES);
    if (ring.contentLength !== BLOCK_BYTES) throw new Error(`${ring.contentLength} bytes`);
    checkBlock(bytes[ring.contentOffset], number);
    ring.consume(BLOCK_BYTES);
  }
}

measureViews(textOption('manner', 'views') === 'views' ? byViews : byOffsets);
