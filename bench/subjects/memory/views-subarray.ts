/** One `subarray` of plain memory, as cheap as a view gets by its usual name. */

import {
  BLOCK_BYTES,
  BLOCKS_BYTES,
  checkBlock,
  fillBlocks,
  measureViews,
} from '../support/blocks.ts';

const bytes = new Uint8Array(BLOCKS_BYTES);
fillBlocks(bytes);

measureViews((count) => {
  let at = 0;
  for (let number = 0; number < count; number++) {
    checkBlock(bytes.subarray(at, at + BLOCK_BYTES)[0], number);
    at = at + BLOCK_BYTES === BLOCKS_BYTES ? 0 : at + BLOCK_BYTES;
  }
});
