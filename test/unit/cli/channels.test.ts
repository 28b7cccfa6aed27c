/**
 * What `annulus channels` makes of what it finds: rates, sides, the table.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { ChannelReport } from '#src/channel/inspect.js';
import { table } from '#src/cli/channels/report.js';
import { sample } from '#src/cli/channels/sample.js';
import type { ChannelSample, Look } from '#src/cli/channels/sample.js';

const CAPACITY = 65_536;

const REPORT: ChannelReport = {
  capacity: CAPACITY,
  mode: 2,
  unit: 8,
  used: CAPACITY / 4,
  sent: 1_000_000,
  count: 1_000,
  dropped: 3,
  sender: { state: 'attached', pid: process.pid },
  receiver: { state: 'vacant', pid: 0 },
};

function look(at: number, report: ChannelReport | undefined, holders = [process.pid]): Look {
  return { at, discovery: { channels: [{ inode: 7, holders, report }], hidden: 0 } };
}

/** What two looks two seconds apart say. */
function rates(before: Partial<ChannelReport>, now: Partial<ChannelReport>): (number | null)[] {
  const [channel] = sample(look(2_000, { ...REPORT, ...now }), look(0, { ...REPORT, ...before }));
  return [channel!.bytesPerSecond, channel!.writesPerSecond];
}

describe('a sample of channels', () => {
  it('has rates from the second look on', () => {
    const [first] = sample(look(0, REPORT), undefined);
    assert.equal(first?.bytesPerSecond, null);
    assert.deepEqual(rates({}, { sent: 1_500_000, count: 1_100 }), [250_000, 50]);
    assert.deepEqual(rates({}, {}), [0, 0]);
  });

  it('sees counters wrap, and is not misled by a lap that was counted first', () => {
    const modulo = 2 ** 32 * 2 * CAPACITY;
    assert.deepEqual(
      rates({ sent: modulo - 100, count: 2 ** 32 - 10 }, { sent: 100, count: 10 }),
      [100, 10],
    );
    assert.deepEqual(rates({ sent: 1_000_000 + 2 * CAPACITY }, { sent: 1_000_500 }), [0, 0]);
  });

  it('says who holds the sides, and whether that can be', () => {
    const [channel] = sample(look(0, REPORT), undefined);
    assert.equal(channel?.carries, 'messages');
    assert.equal(channel?.fill, 0.25);
    assert.equal(channel?.sender.state, 'attached');
    assert.ok(channel?.sender.command);
    assert.deepEqual(channel?.receiver, { state: 'vacant', pid: null, command: null });
    const [other] = sample(look(0, REPORT, [1]), undefined);
    assert.deepEqual(other?.sender, { state: 'gone', pid: process.pid, command: null });
    const [ended] = sample(
      look(0, { ...REPORT, sender: { state: 'failed', pid: process.pid } }, [1]),
      undefined,
    );
    assert.equal(ended?.sender.state, 'failed');
    assert.equal(sample(look(0, undefined), undefined)[0]?.carries, 'nonsense');
  });
});

describe('the table of channels', () => {
  const [channel] = sample(look(0, REPORT), undefined) as [ChannelSample];

  it('shows each in a row', () => {
    const shown = {
      ...channel,
      bytesPerSecond: 2 ** 20,
      writesPerSecond: 12_345,
      sender: { pid: 12, state: 'attached', command: 'producer' },
      receiver: { pid: 13, state: 'gone', command: null },
    } as const;
    assert.equal(
      table([shown], 2),
      [
        'CARRIES   CAPACITY  FILL              RATE       WRITES/S  SENDER       RECEIVER',
        'messages  64.0 KiB  [###       ] 25%  1.0 MiB/s  12,345    12 producer  13 (gone)',
        '3 writes dropped for want of room.',
        '2 processes of others could not be looked into.',
        '',
      ].join('\n'),
    );
  });

  it('passes nothing on that a terminal would obey', () => {
    const evil = { pid: 1, state: 'attached', command: '\x1b[2J\u009b31m' } as const;
    assert.match(table([{ ...channel, sender: evil }], 0), / 1 \?\[2J\?31m {2}/);
  });

  it('says when there is nothing', () => {
    assert.equal(table([], 0), 'No channels between processes here.\n');
  });
});
