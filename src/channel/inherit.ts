/**
 * Inheriting an end of a channel: what a parent gives a child process besides the descriptors, so that
 * the child need not know their numbers.
 */
import { AnnulusError, invalidArgType, invalidArgValue } from '../sys/errors.ts';
import { closeOnExec } from '../sys/linux.ts';
import type { Role } from './descriptors.ts';
import type { StdioEntry } from './offer.ts';

/** The variable of the environment that says what a child inherits: `name=role:firstFd`, by spaces. */
const VARIABLE = 'ANNULUS_CHANNELS';

/** Name of an end where none is given. */
const DEFAULT_NAME = 'channel';

const NAME = /^[\w.-]+$/;

/** What a child process is started with besides. */
export interface ChildBase {
  /** What the child knows the end by. Default `channel`. */
  readonly name?: string | undefined;
  /**
   * What comes before the end's descriptors. Default: standard input, output and error inherited; for
   * `fork()` also `'ipc'`.
   */
  readonly stdio?: readonly StdioEntry[] | undefined;
  /** The child's environment. Default: this process's. */
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/** Options of `spawn`, `fork` and execa with which a child inherits an end. */
export interface ChildOptions {
  readonly stdio: StdioEntry[];
  readonly env: NodeJS.ProcessEnv;
}

/** Puts an end's descriptors behind what there is, and its name into the environment. */
export function childOptions(
  role: Role,
  base: ChildBase,
  descriptors: () => readonly number[],
): ChildOptions {
  const { name = DEFAULT_NAME, stdio = ['inherit', 'inherit', 'inherit'] } = base;
  const { env = process.env } = base;
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw invalidArgValue('name', 'must be of letters, digits, points, dashes', name);
  }
  if (!Array.isArray(stdio)) throw invalidArgType('stdio', 'an array', stdio);
  if (stdio.length < 3) {
    throw invalidArgValue('stdio', 'must say what becomes of 0, 1 and 2', stdio.length);
  }
  // What this process has inherited and not taken is not the child's.
  const others = env === process.env ? [] : entriesOf(env);
  if (others.some((entry) => entry.name === name)) {
    throw invalidArgValue('name', 'must differ from that of the other channels', name);
  }
  const all = [...others, { name, role, firstFd: stdio.length }];
  const text = all.map((entry) => `${entry.name}=${entry.role}:${entry.firstFd}`).join(' ');
  return { stdio: [...stdio, ...descriptors()], env: { ...env, [VARIABLE]: text } };
}

/**
 * The descriptors of an end that this process inherited. They are not inherited further: a grandchild
 * that kept them would hide this process's death from the other side.
 */
export function inheritedDescriptors(role: Role, name: string = DEFAULT_NAME): number[] {
  const entries = entriesOf(process.env);
  const found = entries.find((entry) => entry.name === name && entry.role === role);
  if (found === undefined) {
    const there = entries.map((entry) => `${entry.role} '${entry.name}'`).join(', ') || 'nothing';
    throw new AnnulusError(
      'ERR_ANNULUS_CHANNEL_TAKEN',
      `This process has inherited no ${role} '${name}', or has taken it before; there is ${there}. ` +
        'The parent gives it by channel.childOptions().',
    );
  }
  const left = entries.filter((entry) => entry !== found);
  if (left.length === 0) delete process.env[VARIABLE];
  else process.env[VARIABLE] = left.map((it) => `${it.name}=${it.role}:${it.firstFd}`).join(' ');
  // Two or four: the channel's memory says how many.
  const fds = [0, 1, 2, 3].map((index) => found.firstFd + index);
  return fds.filter(closeOnExec);
}

interface Entry {
  readonly name: string;
  readonly role: Role;
  readonly firstFd: number;
}

function entriesOf(env: NodeJS.ProcessEnv): Entry[] {
  return [...(env[VARIABLE] ?? '').matchAll(/([\w.-]+)=(sender|receiver):(\d+)/g)].map(
    ([, name, role, firstFd]) => {
      return { name: name!, role: role as Role, firstFd: Number(firstFd) };
    },
  );
}
