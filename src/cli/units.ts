/**
 * Units: amounts as people write and read them.
 */

const FACTORS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
const NAMES = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Reads `8388608`, `8192K`, `8M`, `8MiB`; undefined for anything else. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+)([KMG]?)(?:i?B)?$/i.exec(text.trim());
  if (match === null) return undefined;
  return Number(match[1]) * FACTORS[match[2]!.toUpperCase()]!;
}

/** Such as `93.4 MiB`. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < NAMES.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${NAMES[unit]}`;
}

/** Such as `93.4 MiB/s`. */
export function formatRate(bytes: number, seconds: number): string {
  return `${formatBytes(Math.round(bytes / Math.max(seconds, 1e-9)))}/s`;
}

/** Such as `5,000 files`. */
export function formatCount(count: number, one: string, many: string = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
}
