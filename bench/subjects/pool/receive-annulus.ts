/**
 * Messages that arrive on many connections at a time, received by promises: into a pool (`pool`), or
 * into a buffer of each connection's own (`own`).
 */

import { alloc } from 'annulus';
import { BufferPool } from 'annulus/pool';
import { Proactor } from 'annulus/proactor';
import { checkMessage, openConnections, renew } from '../support/connections.ts';
import type { Connection } from '../support/connections.ts';
import { Meter } from '../support/meter.ts';
import { numberOption, textOption } from '../support/options.ts';
import { report } from '../support/report.ts';
import { orSkip } from '../support/ring.ts';

const BUFFER_BYTES = 4096;
const connections = openConnections(numberOption('connections'));
const pooled = textOption('manner', 'pool') === 'pool';
const io = orSkip(() => new Proactor());
const pool = new BufferPool({ bufferSize: BUFFER_BYTES, maxMemory: 64 * BUFFER_BYTES });
const own = connections.map(() => alloc(BUFFER_BYTES));

async function receive({ near }: Connection, index: number, number: number): Promise<void> {
  if (pooled) {
    using received = await io.recv(near, pool);
    checkMessage(received.bytes, received.length, number);
  } else {
    const length = await io.recv(near, own[index]!);
    checkMessage(own[index]!, length, number);
  }
}

const meter = new Meter(16);
let round = 0;
do {
  const number = ++round;
  const received = connections.map((connection, index) => receive(connection, index, number));
  for (const connection of connections) {
    renew(connection, number);
    void io.send(connection.far, connection.message);
  }
  await Promise.all(received);
} while (meter.tick(connections.length));
report(meter.perSecond, 'op/s', { cpu: meter.cpuNanosecondsEach });
await io.close();
