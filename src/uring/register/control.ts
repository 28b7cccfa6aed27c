/**
 * Registrations that change how a ring works: what it tells, who it is, what it may do, on which
 * processors.
 */
import { cpus as processors } from 'node:os';

import { REGISTER, RESTRICTION } from '../../sys/abi.ts';
import type { RegisterName } from '../../sys/abi.ts';
import { checkInteger, ERRNO, invalidArgValue, invalidState } from '../../sys/errors.ts';
import { OP } from '../opcodes.ts';
import type { OpcodeName } from '../opcodes.ts';
import { FileRegistrations } from './files.ts';

const MAX_FD = 2 ** 31 - 1;
const MAX_PERSONALITY = 65535;
const MAX_U32 = 2 ** 32 - 1;
const RESTRICTION_WORDS = 4;

/** `CLOCK_*` numbers a ring's time limits can be measured by. */
export const CLOCK = { MONOTONIC: 1, BOOTTIME: 7 } as const;

/** What a restricted ring may still do; everything else completes, or throws, with `EACCES`. */
export interface Restrictions {
  /** Requests that may run. Default: none. */
  readonly requests?: readonly OpcodeName[];
  /** Registrations that may be made. Default: none. */
  readonly registrations?: readonly RegisterName[];
  /** `SQE` flags a request may carry. Default: none. */
  readonly flagsAllowed?: number;
  /** `SQE` flags every request must carry. Default: none. */
  readonly flagsRequired?: number;
}

/** The most threads of the kernel that run requests which cannot be made asynchronous. */
export interface WorkerLimits {
  /** For work that ends by itself, as on files. */
  readonly bounded: number;
  /** For work that may wait for ever, as on sockets and pipes. */
  readonly unbounded: number;
}

/** Busy polling of network devices. */
export interface NapiOptions {
  /** Microseconds to poll for before sleeping. */
  readonly busyPollUs: number;
  /** Whether the device's interrupts stay off while it is polled. */
  readonly preferBusyPoll?: boolean;
}

/** Registrations that change how a ring works. */
export abstract class ControlRegistrations extends FileRegistrations {
  /**
   * Makes the kernel count completions into an eventfd: Linux 5.2. With `async` it counts only what
   * its worker threads complete: Linux 5.6.
   */
  eventfd(fd: number, options?: { readonly async?: boolean }): void {
    checkInteger('fd', fd, 0, MAX_FD);
    const name = options?.async === true ? 'REGISTER_EVENTFD_ASYNC' : 'REGISTER_EVENTFD';
    this.call(name, Int32Array.of(fd), 1);
  }

  /** Ends `eventfd()`. Linux 5.2. */
  unregisterEventfd(): void {
    this.call('UNREGISTER_EVENTFD', null, 0);
  }

  /**
   * Remembers the credentials the thread has now; `ring.personalityLast()` makes a request run with
   * them, whatever the thread's are by then. Linux 5.6.
   *
   * @returns The personality's number.
   */
  personality(): number {
    return this.call('REGISTER_PERSONALITY', null, 0);
  }

  /** Forgets a personality. Linux 5.6. */
  unregisterPersonality(personality: number): void {
    checkInteger('personality', personality, 1, MAX_PERSONALITY);
    this.call('UNREGISTER_PERSONALITY', null, personality, {
      [ERRNO.EINVAL]: `there is no personality ${personality}`,
    });
  }

  /**
   * Limits for good what the ring may do, from `enable()` on. The ring must have been made with
   * `SETUP.R_DISABLED` and not be enabled yet, and can be restricted once. Linux 5.10.
   *
   * Closing a ring cancels what is in flight; where `REGISTER_SYNC_CANCEL` is not among the
   * registrations allowed, it can only wait for it.
   *
   * @throws {SystemError} `EBADFD` if the ring is enabled; `EBUSY` if it is restricted already.
   */
  restrict(restrictions: Restrictions): void {
    const { requests = [], registrations = [], flagsAllowed, flagsRequired } = restrictions;
    const rows = [
      ...requests.map((name) => [RESTRICTION.SQE_OP, numberOf('requests', OP, name)]),
      ...registrations.map((name) => [
        RESTRICTION.REGISTER_OP,
        numberOf('registrations', REGISTER, name),
      ]),
    ];
    for (const [name, code, flags] of [
      ['flagsAllowed', RESTRICTION.SQE_FLAGS_ALLOWED, flagsAllowed],
      ['flagsRequired', RESTRICTION.SQE_FLAGS_REQUIRED, flagsRequired],
    ] as const) {
      if (flags === undefined) continue;
      checkInteger(name, flags, 0, 0x7f);
      rows.push([code, flags]);
    }
    // An empty table still restricts: nothing is allowed. The kernel wants a pointer all the same.
    const table = new Int32Array(Math.max(1, rows.length) * RESTRICTION_WORDS);
    rows.forEach(([code, value], index) => {
      table[index * RESTRICTION_WORDS] = code! | (value! << 16);
    });
    this.call('REGISTER_RESTRICTIONS', table, rows.length);
  }

  /**
   * Starts a ring made with `SETUP.R_DISABLED`, which refuses to run requests until then. With
   * `SETUP.SINGLE_ISSUER` it belongs to the thread that calls this. Linux 5.10.
   */
  enable(): void {
    this.call('REGISTER_ENABLE_RINGS', null, 0);
  }

  /**
   * Keeps the kernel's worker threads of this thread's rings on these processors, those that start
   * from now on. Linux 5.14.
   */
  workerAffinity(cpus: readonly number[]): void {
    if (cpus.length === 0) throw invalidArgValue('cpus', 'must have elements', cpus.length);
    // The kernel ignores numbers beyond its table, and might be left with none.
    for (const cpu of cpus) checkInteger('cpu', cpu, 0, processors().length - 1);
    const mask = new Uint8Array((Math.floor(Math.max(...cpus) / 64) + 1) * 8);
    for (const cpu of cpus) mask[cpu >> 3] = mask[cpu >> 3]! | (1 << (cpu & 7));
    this.call('REGISTER_IOWQ_AFF', mask, mask.length, {
      [ERRNO.EINVAL]: `the thread may not use one of the processors ${cpus.join(', ')}`,
    });
  }

  /** Lets worker threads run everywhere again. Linux 5.14. */
  unregisterWorkerAffinity(): void {
    this.call('UNREGISTER_IOWQ_AFF', null, 0);
  }

  /**
   * Limits the kernel's worker threads of this thread's rings, of which requests with `SQE.ASYNC` and
   * buffered writes may otherwise start very many. 0 leaves a limit as it is. Linux 5.15.
   *
   * @returns The limits there were before.
   */
  maxWorkers(limits: Partial<WorkerLimits> = {}): WorkerLimits {
    const { bounded = 0, unbounded = 0 } = limits;
    checkInteger('bounded', bounded, 0, MAX_FD);
    checkInteger('unbounded', unbounded, 0, MAX_FD);
    const words = Int32Array.of(bounded, unbounded);
    this.call('REGISTER_IOWQ_MAX_WORKERS', words, 2);
    return { bounded: words[0]!, unbounded: words[1]! };
  }

  /**
   * Polls network devices for a while before sleeping on an empty completion queue. Linux 6.9.
   *
   * @returns The settings there were before.
   */
  napi(options: NapiOptions): Required<NapiOptions> {
    const { busyPollUs, preferBusyPoll = false } = options;
    checkInteger('busyPollUs', busyPollUs, 0, MAX_U32);
    return this.#napi('REGISTER_NAPI', busyPollUs, preferBusyPoll);
  }

  /** Ends `napi()`; returns the settings there were. Linux 6.9. */
  unregisterNapi(): Required<NapiOptions> {
    return this.#napi('UNREGISTER_NAPI', 0, false);
  }

  /** The clock that time limits of waits are measured by. Linux 6.12. */
  clock(clock: (typeof CLOCK)[keyof typeof CLOCK]): void {
    if (!Object.values(CLOCK).includes(clock)) {
      throw invalidArgValue('clock', 'must be CLOCK.MONOTONIC or CLOCK.BOOTTIME', clock);
    }
    this.call('REGISTER_CLOCK', Int32Array.of(clock, 0, 0, 0), 0);
  }

  /**
   * Registers the ring's descriptor with this thread, so that submitting and waiting need not look
   * it up among those of the process. Ends by itself when the ring is closed. Linux 5.18.
   *
   * @returns The index among the thread's registered rings, of which there can be 16.
   * @throws {SystemError} `EBUSY` if there are 16.
   */
  ringFd(): number {
    if (this.ringIndex >= 0) return this.ringIndex;
    const update = Int32Array.of(-1, 0, this.fd, 0);
    this.call('REGISTER_RING_FDS', update, 1, {
      [ERRNO.EBUSY]: 'the thread has registered as many rings as it can; close one',
    });
    this.ringIndex = update[0]!;
    return this.ringIndex;
  }

  /** Ends `ringFd()`. Linux 5.18. */
  unregisterRingFd(): void {
    if (this.ringIndex < 0) return;
    if (this.fd < 0) throw invalidState('A ring without a descriptor ends with close().');
    this.call('UNREGISTER_RING_FDS', Int32Array.of(this.ringIndex, 0, 0, 0), 1);
    this.ringIndex = -1;
  }

  /** @internal */
  override retire(): void {
    // A registered ring outlives its descriptor, and the thread has room for 16.
    if (this.ringIndex >= 0) {
      this.attempt('UNREGISTER_RING_FDS', Int32Array.of(this.ringIndex, 0, 0, 0), 1);
    }
    super.retire();
    this.ringIndex = -1;
  }

  #napi(
    name: 'REGISTER_NAPI' | 'UNREGISTER_NAPI',
    busyPollUs: number,
    preferBusyPoll: boolean,
  ): Required<NapiOptions> {
    const words = Int32Array.of(busyPollUs | 0, preferBusyPoll ? 1 : 0, 0, 0);
    this.call(name, words, 1);
    return { busyPollUs: words[0]! >>> 0, preferBusyPoll: (words[1]! & 0xff) !== 0 };
  }
}

function numberOf<T extends string>(
  argument: string,
  table: Readonly<Record<T, number>>,
  name: T,
): number {
  const number = table[name];
  if (number === undefined) throw invalidArgValue(argument, 'has an unknown name', name);
  return number;
}
