/**
 * The text `annulus channels` prints.
 */
import { formatBytes, formatCount, formatRate } from '../units.ts';
import type { ChannelSample, SideSample } from './sample.ts';

const BAR_CELLS = 10;

const HEADINGS = ['CARRIES', 'CAPACITY', 'FILL', 'RATE', 'WRITES/S', 'SENDER', 'RECEIVER'];

/** A table, one row a channel. */
export function table(channels: readonly ChannelSample[], hidden: number): string {
  const rows = channels.map(rowOf);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]!.length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd();
  const body =
    rows.length === 0 ? 'No channels between processes here.' : [HEADINGS, ...rows].map(line);
  return `${[body, ...notes(channels, hidden)].flat().join('\n')}\n`;
}

function rowOf(channel: ChannelSample): string[] {
  const { carries, capacity, fill, bytesPerSecond, writesPerSecond } = channel;
  return [
    carries,
    formatBytes(capacity),
    bar(fill),
    bytesPerSecond === null ? '-' : formatRate(bytesPerSecond, 1),
    writesPerSecond === null ? '-' : Math.round(writesPerSecond).toLocaleString('en-US'),
    sideText(channel.sender),
    sideText(channel.receiver),
  ];
}

function bar(fill: number): string {
  const full = Math.round(fill * BAR_CELLS);
  const percent = `${Math.round(fill * 100)}%`.padStart(4);
  return `[${'#'.repeat(full).padEnd(BAR_CELLS)}]${percent}`;
}

function sideText({ pid, state, command }: SideSample): string {
  if (pid === null) return state;
  const who = command === null ? `${pid}` : `${pid} ${printable(command)}`;
  return state === 'attached' ? who : `${who} (${state})`;
}

/** A program may call itself anything, also what a terminal would obey. */
function printable(command: string): string {
  return command.replaceAll(/[^\x20-\x7e]/g, '?');
}

function notes(channels: readonly ChannelSample[], hidden: number): string[] {
  const dropped = channels.reduce((sum, channel) => sum + channel.dropped, 0);
  return [
    ...(dropped === 0 ? [] : [`${formatCount(dropped, 'write')} dropped for want of room.`]),
    ...(hidden === 0
      ? []
      : [`${formatCount(hidden, 'process', 'processes')} of others could not be looked into.`]),
  ];
}
