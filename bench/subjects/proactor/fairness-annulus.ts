/** How late a repeating 1 ms timer is while our proactor keeps `depth` reads in flight. */

import { runLanes } from '../support/lanes.ts';
import { Meter } from '../support/meter.ts';
import { numberOption, textOption } from '../support/options.ts';
import { openProactorReader } from '../support/proactor-reader.ts';
import { report } from '../support/report.ts';
import { TimerProbe } from '../support/timer-probe.ts';

const depth = numberOption('depth');
const reader = openProactorReader(textOption('file'), depth);
const meter = new Meter(64);
const probe = new TimerProbe(() => !meter.warmingUp);
await runLanes(depth, meter, reader);
const { p50, p99, max, samples } = probe.stop();
await reader.close();
report(p50, 'ms', { p99, max, samples, readsPerSecond: meter.perSecond });
