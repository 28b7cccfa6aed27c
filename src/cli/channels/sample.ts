/**
 * Sampling channels: what two looks at them, some time apart, say about each.
 */
import type { ChannelReport, SideReport } from '../../channel/inspect.ts';
import { commandOf } from './discover.ts';
import type { Discovery, Found } from './discover.ts';

/** One side of a channel. */
export interface SideSample {
  /** As the memory says; `gone` where no process that holds it has that id. */
  readonly state: SideReport['state'] | 'gone';
  /** Null where none has attached. */
  readonly pid: number | null;
  readonly command: string | null;
}

/** One channel; rates are null at the first look. What a channel's memory says may be made up. */
export interface ChannelSample {
  readonly inode: number;
  readonly carries: 'bytes' | 'elements' | 'messages' | 'nonsense';
  /** Bytes. */
  readonly capacity: number;
  /** Bytes sent and not consumed. */
  readonly used: number;
  /** 0 to 1. */
  readonly fill: number;
  readonly bytesPerSecond: number | null;
  /** Messages, or publications of bytes and elements. */
  readonly writesPerSecond: number | null;
  readonly dropped: number;
  readonly sender: SideSample;
  readonly receiver: SideSample;
  /** Processes that hold the memory. */
  readonly holders: readonly number[];
}

/** A look at all channels, and when it was. */
export interface Look {
  readonly at: number;
  readonly discovery: Discovery;
}

const MODES = ['bytes', 'elements', 'messages'] as const;
const NOBODY: SideSample = { state: 'vacant', pid: null, command: null };
const TWO_32 = 2 ** 32;

/** What is known of each channel after `now`, and `before` if there was a look before. */
export function sample(now: Look, before: Look | undefined): ChannelSample[] {
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1_000;
  return now.discovery.channels.map((found) => {
    const old = before?.discovery.channels.find(({ inode }) => inode === found.inode);
    return sampleOf(found, old?.report, seconds);
  });
}

function sampleOf(found: Found, old: ChannelReport | undefined, seconds: number): ChannelSample {
  const { inode, holders, report } = found;
  if (report === undefined) {
    const nothing = { capacity: 0, used: 0, fill: 0, dropped: 0, sender: NOBODY, receiver: NOBODY };
    const rates = { bytesPerSecond: null, writesPerSecond: null };
    return { inode, carries: 'nonsense', ...nothing, ...rates, holders };
  }
  const { capacity, used, dropped } = report;
  const rate = (of: (it: ChannelReport) => number, modulo: number): number | null =>
    old === undefined || seconds <= 0 ? null : growth(of(old), of(report), modulo) / seconds;
  return {
    inode,
    carries: MODES[report.mode] ?? 'nonsense',
    capacity,
    used,
    fill: used / capacity,
    bytesPerSecond: rate(({ sent }) => sent, TWO_32 * 2 * capacity),
    writesPerSecond: rate(({ count }) => count, TWO_32),
    dropped,
    sender: sideOf(report.sender, holders),
    receiver: sideOf(report.receiver, holders),
    holders,
  };
}

/**
 * How much a counter grew that wraps at `modulo`. Its parts are stored one after another, so that one
 * look may see it a lap ahead of the next: that counts as no growth.
 */
function growth(from: number, to: number, modulo: number): number {
  const grown = to - from;
  if (grown >= 0) return grown;
  return grown < -modulo / 2 ? grown + modulo : 0;
}

function sideOf({ state, pid }: SideReport, holders: readonly number[]): SideSample {
  if (pid === 0) return { ...NOBODY, state };
  const isHere = holders.includes(pid);
  const lives = state === 'attached' && !isHere ? 'gone' : state;
  return { state: lives, pid, command: (isHere ? commandOf(pid) : undefined) ?? null };
}
