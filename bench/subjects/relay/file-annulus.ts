/** A file to another process and to disk by the command: `annulus relay SRC DST`. */

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { prepareRelayFiles } from '../support/relay-files.ts';
import { report } from '../support/report.ts';

/** What is used of the command's report. */
interface RelayReport {
  readonly bytes: number;
  /** From starting the writing process until all is written and hashed at both ends, as the peer. */
  readonly seconds: number;
  readonly verifySeconds: number;
  readonly sha256: { readonly source: string; readonly destination: string };
  readonly modes: { readonly reader: string; readonly writer: string };
}

const command = fileURLToPath(new URL('../../../../bin/annulus.js', import.meta.url));
const { source, destination } = prepareRelayFiles();
const args = [command, 'relay', source, destination, '--json', '--no-compare'];
const text = execFileSync(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
const { bytes, seconds, verifySeconds, sha256, modes } = JSON.parse(text.toString()) as RelayReport;
if (sha256.source !== sha256.destination) throw new Error('what was written is not what was read');
report(bytes / seconds, 'B/s', { verifySeconds, reader: modes.reader, writer: modes.writer });
