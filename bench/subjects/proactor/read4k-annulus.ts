/** Random 4 KiB reads of a hot file, a promise each, with our proactor. */

import { runLanes } from '../support/lanes.ts';
import { Meter } from '../support/meter.ts';
import { numberOption, textOption } from '../support/options.ts';
import { openProactorReader } from '../support/proactor-reader.ts';
import { report } from '../support/report.ts';

const depth = numberOption('depth');
const reader = openProactorReader(textOption('file'), depth);
const meter = new Meter(64);
await runLanes(depth, meter, reader);
const entersPer100 = reader.entersPer100();
await reader.close();
report(meter.perSecond, 'op/s', { entersPer100 });
