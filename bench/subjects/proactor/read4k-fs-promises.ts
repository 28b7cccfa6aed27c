/** Random 4 KiB reads of a hot file, a promise each, with `FileHandle.read`. */

import { runLanes } from '../support/lanes.ts';
import { Meter } from '../support/meter.ts';
import { numberOption, textOption } from '../support/options.ts';
import { openFileHandleReader } from '../support/file-handle-reader.ts';
import { report } from '../support/report.ts';

const depth = numberOption('depth');
const reader = await openFileHandleReader(textOption('file'), depth);
const meter = new Meter(64);
await runLanes(depth, meter, reader);
await reader.close();
report(meter.perSecond, 'op/s');
