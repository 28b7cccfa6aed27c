/**
 * The doctor's findings as text: a column of names, a column of values.
 */
import { REGISTRATIONS } from '../../uring/registrations.ts';
import type { Examination, Limit } from './examine.ts';

const NAME_WIDTH = 14;
const VALUE_WIDTH = 76;

/** Lines for a person to read. */
export function report(found: Examination): string {
  const { opcodes } = found;
  const rows: [string, string][] = [
    ['io_uring', found.usable ? 'usable' : `not usable (${found.cause ?? 'unknown'})`],
    ['', found.reason ?? ''],
    ['Kernel', `${found.platform} ${found.kernel}`],
    ['', found.sysctl === null ? '' : `kernel.io_uring_disabled is ${found.sysctl}`],
    ['', found.seccomp ? 'this process runs under a seccomp filter' : ''],
    ['Features', found.features.join(' ')],
    ['Opcodes', found.usable ? `${opcodes.supported.length} of ${opcodes.known} known` : ''],
    ['Missing', found.usable ? opcodes.missing.map(describeMissing).join(', ') : ''],
    ['Registrations', describeCount(found.has?.registrations, REGISTRATIONS.length)],
    ['Set-up flags', found.has?.setupFlags.join(' ') ?? ''],
    ['Enter flags', found.has?.enterFlags.join(' ') ?? ''],
    ['Ring flags', found.ringFlags.join(' ')],
    ['Locked memory', describeLimit(found.memlock, describeBytes)],
    ['Open files', describeLimit(found.nofile, String)],
    ['Node', `${found.node} on ${found.arch}`],
    ['Page size', found.pageSize === null ? '' : describeBytes(found.pageSize)],
    ['Annulus', found.annulus],
    ['Native part', `${found.native.file}${found.native.exists ? '' : ' (missing)'}`],
  ];
  const filled = rows.filter(([, value]) => value !== '');
  return filled.map(([name, value]) => layOut(name, value)).join('');
}

function describeCount(names: readonly string[] | undefined, known: number): string {
  return names === undefined ? '' : `${names.length} of ${known} known`;
}

function describeMissing({ name, since }: { name: string; since: string }): string {
  return `${name} (Linux ${since})`;
}

function describeBytes(bytes: number): string {
  return bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} bytes`;
}

function describeLimit(limit: Limit | null, describe: (value: number) => string): string {
  if (limit === null) return '';
  const [soft, hard] = [limit.soft, limit.hard].map((value) =>
    value === null ? 'unlimited' : describe(value),
  );
  return soft === hard ? soft! : `${soft}, may be raised to ${hard}`;
}

/** One row, its value broken between words where it is long. */
function layOut(name: string, value: string): string {
  const lines: string[] = [];
  for (const word of value.split(' ')) {
    const last = lines.length - 1;
    const fits = last >= 0 && lines[last]!.length + 1 + word.length <= VALUE_WIDTH;
    if (fits) lines[last] += ` ${word}`;
    else lines.push(word);
  }
  const indented = lines.map((line, index) => (index === 0 ? name : '').padEnd(NAME_WIDTH) + line);
  return `${indented.join('\n')}\n`;
}
