/** Random 4 KiB reads of a hot file with the callback form of `fs.read`. */

import { closeSync, openSync, read } from 'node:fs';
import { Meter } from '../support/meter.ts';
import { numberOption, textOption } from '../support/options.ts';
import {
  ORDER_LENGTH,
  PAGE_BYTES,
  pageMatches,
  pageMatchesFully,
  pageOrder,
} from '../support/pages.ts';
import { report } from '../support/report.ts';

const depth = numberOption('depth');
const fd = openSync(textOption('file'), 'r');
const order = pageOrder();
const memory = new Uint8Array(depth * PAGE_BYTES);
const pages = new Int32Array(memory.buffer);
const meter = new Meter(64);
let next = 0;
let lanes = depth;

function startLane(offset: number): void {
  let index = 0;
  let page = 0;

  function readNext(): void {
    index = next++;
    page = order[index & (ORDER_LENGTH - 1)] as number;
    read(fd, memory, offset, PAGE_BYTES, page * PAGE_BYTES, onRead);
  }

  function onRead(error: Error | null, count: number): void {
    if (error !== null) throw error;
    if (count !== PAGE_BYTES) throw new Error(`read returned ${count}, expected ${PAGE_BYTES}`);
    const matches =
      index < 4_096
        ? pageMatchesFully(pages, offset >> 2, page)
        : pageMatches(pages, offset >> 2, page);
    if (!matches) throw new Error(`the memory at ${offset} does not hold page ${page}`);
    if (meter.tick()) readNext();
    else endLane();
  }

  readNext();
}

function endLane(): void {
  lanes--;
  if (lanes > 0) return;
  closeSync(fd);
  report(meter.perSecond, 'op/s');
}

for (let lane = 0; lane < depth; lane++) startLane(lane * PAGE_BYTES);
