/**
 * The two messages by which unrelated processes meet, on a Unix socket that keeps their boundaries.
 *
 * ```text
 *   greeting, of the one who connects        answer, of the one who listens
 *   32-bit words, little-endian
 *      0  magic "ANNM"                          0  magic "ANNM"
 *      4  version of this exchange              4  version of this exchange
 *      8  version of the shared memory          8  version of the shared memory
 *     12  role it wants to have, 0 any         12  verdict, 0 welcome
 *                                              16  role it has
 *                                              20  descriptors of each of its ends
 * ```
 *
 * With a welcome come the descriptors (`SCM_RIGHTS`) of the end it has; of two for a duplex: first
 * its receiver's, then its sender's. The first four words are the same in every version. The socket is
 * closed after the answer: a channel's own descriptors tell of a peer's death.
 */
import { AnnulusError, invalidArgValue } from '../sys/errors.ts';
import type { Role } from './descriptors.ts';

/** What a side of a connection is: it sends, it receives, or it does both by two channels. */
export type MeetingRole = 'sender' | 'receiver' | 'duplex';

/** First word: "ANNM". */
const MAGIC = 0x4d4e4e41;

/** Version of this exchange. */
export const GREETING_VERSION = 1;

/** Descriptors of an end at most. */
const DESCRIPTORS_MAX = 8;

/** What the one who listens makes of a greeting. */
export const VERDICT = { WELCOME: 0, VERSION: 1, REFUSED: 2, ROLE: 3, FAILED: 4 } as const;

const ROLES = [undefined, 'sender', 'receiver', 'duplex'] as const;

/** What the one who connects says. */
export interface Greeting {
  readonly version: number;
  readonly layout: number;
  /** Nothing: whatever it is given. */
  readonly role: MeetingRole | undefined;
}

/** What the one who listens answers. */
export interface Answer {
  readonly version: number;
  readonly layout: number;
  readonly verdict: number;
  /** What the one who connects is. */
  readonly role: MeetingRole | undefined;
  readonly descriptors: number;
}

/** Checks what a side says it is. */
export function checkRole(role: MeetingRole): void {
  if (ROLES.includes(role)) return;
  throw invalidArgValue('role', "must be 'sender', 'receiver' or 'duplex'", role);
}

/** The role of the other side. */
export function opposite(role: MeetingRole): MeetingRole {
  if (role === 'duplex') return role;
  return role === 'sender' ? 'receiver' : 'sender';
}

/** The ends a side has, in the order in which their descriptors travel. */
export function endsOf(role: MeetingRole): readonly Role[] {
  return role === 'duplex' ? ['receiver', 'sender'] : [role];
}

export function encodeGreeting(layout: number, role: MeetingRole | undefined): Uint8Array {
  return words(MAGIC, GREETING_VERSION, layout, ROLES.indexOf(role));
}

export function encodeAnswer(
  layout: number,
  verdict: number,
  role?: MeetingRole,
  descriptors: number = 0,
): Uint8Array {
  return words(MAGIC, GREETING_VERSION, layout, verdict, ROLES.indexOf(role), descriptors);
}

/** Decodes a greeting; undefined for what is none. */
export function decodeGreeting(bytes: Uint8Array): Greeting | undefined {
  const found = readWords(bytes, 4);
  if (found === undefined) return undefined;
  const [, version, layout, role] = found;
  return { version: version!, layout: layout!, role: ROLES[role!] };
}

/** Decodes an answer; undefined for what is none. */
export function decodeAnswer(bytes: Uint8Array): Answer | undefined {
  const [, version, layout, verdict] = readWords(bytes, 4) ?? [];
  if (version === undefined) return undefined;
  const isWelcome = version === GREETING_VERSION && verdict === VERDICT.WELCOME;
  const [role, descriptors] = (isWelcome ? readWords(bytes, 6)?.slice(4) : undefined) ?? [];
  if (isWelcome && !(descriptors! > 0 && descriptors! <= DESCRIPTORS_MAX)) return undefined;
  return {
    version,
    layout: layout!,
    verdict: verdict!,
    role: ROLES[role ?? 0],
    descriptors: descriptors ?? 0,
  };
}

/** The two sides are of different versions. */
export function versionDiffers(
  path: string,
  own: number,
  { version, layout }: { readonly version: number; readonly layout: number },
): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_VERSION',
    `The other side of '${printable(path)}' speaks version ${version} of the greeting and ${layout} ` +
      `of the shared memory; this side speaks ${GREETING_VERSION} and ${own}. Install the same ` +
      'version of Annulus on both sides.',
  );
}

/** A path for a message: the NUL of a name without a file becomes '@'. */
export function printable(path: string): string {
  return path.replace(/^\0/, '@');
}

function words(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setUint32(index * 4, value, true));
  return bytes;
}

/** The first words of a message, or undefined where there are fewer, or another magic. */
function readWords(bytes: Uint8Array, count: number): number[] | undefined {
  if (bytes.byteLength < count * 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = Array.from({ length: count }, (_, index) => view.getUint32(index * 4, true));
  return found[0] === MAGIC ? found : undefined;
}
