/**
 * The most memory this process has had resident.
 */
import { readFileSync } from 'node:fs';

/**
 * Bytes. Not `getrusage`, whose figure a process inherits from the one that started it.
 */
export function peakRss(): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return Number(line?.[1] ?? 0) * 1024;
}
