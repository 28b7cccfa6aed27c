/**
 * Report: what a relay has done, for people and for programs.
 */
import { KIND } from './frame.ts';
import type { Kind } from './frame.ts';
import type { Plan } from './plan.ts';
import type { Outcome } from './session.ts';
import { combinedHash, fileHashes } from './summary.ts';
import type { FileHash } from './summary.ts';
import type { TransferMode } from './transfer.ts';
import { formatBytes, formatCount, formatRate } from '../units.ts';

const NAMES: Readonly<Record<TransferMode['kind'], string>> = {
  registered: 'on registered buffers',
  plain: 'plain',
  threads: "by Node's thread pool",
};

/** The same job by streams; why not, if it was not done. */
export type Comparison = { readonly seconds: number } | { readonly skipped: string };

/** What `--json` prints. */
export interface JsonReport {
  readonly source: string;
  readonly destination: string;
  readonly bytes: number;
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly memory: number;
  /** Reading, writing and hashing at both ends, the start of the writing process included. */
  readonly seconds: number;
  /** Reading the destination back. */
  readonly verifySeconds: number;
  /** Bytes a second, without reading back. */
  readonly throughput: number;
  readonly sha256: { readonly source: string; readonly destination: string };
  /** For a tree: each file. */
  readonly hashes: readonly FileHash[];
  readonly modes: { readonly reader: string; readonly writer: string };
  /** Bytes. */
  readonly peakRss: { readonly reader: number; readonly writer: number };
  readonly streams: { readonly seconds: number; readonly throughput: number } | null;
  /** How many times as fast as streams; null without comparison. */
  readonly ratio: number | null;
}

/** Everything there is to say. */
export interface Facts {
  readonly plan: Plan;
  readonly outcome: Outcome;
  readonly memory: number;
  readonly comparison: Comparison;
}

export function jsonReport({ plan, outcome, memory, comparison }: Facts): JsonReport {
  const { seconds, verifySeconds, modes, peakRss } = outcome;
  const compared = 'seconds' in comparison ? comparison.seconds : undefined;
  return {
    source: plan.source,
    destination: plan.destination,
    bytes: plan.bytes,
    files: count(plan, KIND.FILE),
    directories: count(plan, KIND.DIRECTORY),
    links: count(plan, KIND.LINK),
    memory,
    seconds,
    verifySeconds,
    throughput: plan.bytes / seconds,
    sha256: {
      source: combinedHash(plan, outcome.sourceHashes),
      destination: combinedHash(plan, outcome.destinationHashes),
    },
    hashes: plan.isTree ? fileHashes(plan, outcome.destinationHashes) : [],
    modes: { reader: modes.reader.kind, writer: modes.writer.kind },
    peakRss,
    streams:
      compared === undefined ? null : { seconds: compared, throughput: plan.bytes / compared },
    ratio: compared === undefined ? null : compared / seconds,
  };
}

export function textReport(facts: Facts): string {
  const { plan, outcome, memory, comparison } = facts;
  const json = jsonReport(facts);
  const { bytes } = json;
  const lines: [label: string, text: string][] = [
    ['source', json.source],
    ['destination', json.destination],
    ['content', `${contentOf(json)}, ${amountOf(bytes)}`],
    [plan.isTree ? 'sha256 of all' : 'sha256', `${json.sha256.source}  source`],
    ['', `${json.sha256.destination}  destination, read back`],
    [
      'relay',
      `${timeOf(outcome.seconds, bytes)}; read back in ${inSeconds(outcome.verifySeconds)}`,
    ],
    ['requests', requestsOf(outcome.modes)],
    [
      'memory',
      `${formatBytes(memory)} in flight at most; ` +
        `peak resident ${formatBytes(json.peakRss.reader)} reader, ${formatBytes(json.peakRss.writer)} writer`,
    ],
  ];
  if ('seconds' in comparison) {
    lines.push([
      'streams',
      `${timeOf(comparison.seconds, bytes)}; the same job by fs streams and a pipe`,
    ]);
    lines.push(['ratio', `${(json.ratio ?? 0).toFixed(2)} times as fast as streams`]);
  } else if (comparison.skipped !== '') {
    lines.push(['streams', `not compared: ${comparison.skipped}`]);
  }
  const width = Math.max(...lines.map(([label]) => label.length));
  const gap = `\n${' '.repeat(width + 2)}`;
  return lines
    .map(([label, text]) => `${label.padEnd(width)}  ${text.replaceAll('\n', gap)}\n`)
    .join('');
}

function amountOf(bytes: number): string {
  return bytes < 1024 ? formatBytes(bytes) : `${formatBytes(bytes)} (${bytes} bytes)`;
}

function contentOf(json: JsonReport): string {
  const parts = [formatCount(json.files, 'file')];
  if (json.directories > 0) parts.push(formatCount(json.directories, 'directory', 'directories'));
  if (json.links > 0) parts.push(formatCount(json.links, 'link'));
  return parts.join(', ');
}

function requestsOf({ reader, writer }: Outcome['modes']): string {
  const both = `reader ${NAMES[reader.kind]}, writer ${NAMES[writer.kind]}`;
  const reason = reader.reason ?? writer.reason;
  return reason === undefined ? both : `${both}\n(${reason})`;
}

function timeOf(duration: number, bytes: number): string {
  return `${inSeconds(duration)}, ${formatRate(bytes, duration)}`;
}

function inSeconds(duration: number): string {
  return `${duration.toFixed(duration < 10 ? 3 : 1)} s`;
}

function count(plan: Plan, kind: Kind): number {
  return plan.entries.filter((entry) => entry.kind === kind).length;
}
