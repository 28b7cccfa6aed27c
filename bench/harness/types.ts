/** The vocabulary of the benchmark harness: what a case is, and what running one yields. */

/** `pinned` means that the kernel may not move the measured threads between CPUs. */
export type Placement = 'pinned' | 'unpinned';

/** Which direction of a figure is the good one. */
export type Better = 'higher' | 'lower';

/*
 * A `helper` is a further program below `bench/peers`, which the subject starts: it is passed as
 * `helper=PATH`.
 */

/** A subject that is a Node program: a script below `build/bench/subjects`. */
export interface NodeSubject {
  readonly kind: 'node';
  readonly name: string;
  /** Path below `subjects/`, without extension. */
  readonly script: string;
  readonly helper?: string;
  readonly options?: SubjectOptions;
}

/** A subject that is a C program below `bench/peers`, compiled on demand. */
export interface NativeSubject {
  readonly kind: 'native';
  readonly name: string;
  /** File name below `bench/peers`, without extension. */
  readonly program: string;
  /** What the program needs besides the C library. */
  readonly library?: NativeLibrary;
  readonly helper?: string;
  readonly options?: SubjectOptions;
}

/** A C library that may be missing on the machine. */
export interface NativeLibrary {
  readonly header: string;
  readonly link: string;
  /** Package that brings the header on Debian and Ubuntu, for the message that explains a skip. */
  readonly debianPackage: string;
}

/** A subject in another language, which `bench/harness/foreign.ts` builds. */
export interface ForeignSubject {
  readonly kind: 'rust' | 'go';
  readonly name: string;
  /** Build tags, of Go: for a package without which the others are to build all the same. */
  readonly tags?: string;
  /** Cargo features, of Rust: for a crate that takes long to build, in a program of its own. */
  readonly features?: string;
  readonly options?: SubjectOptions;
}

export type Subject = NodeSubject | NativeSubject | ForeignSubject;

/** Passed to the subject as `key=value` arguments. */
export type SubjectOptions = Readonly<Record<string, number | string>>;

/** A ratio the project promises. Printed beside the result; it does not change the exit code. */
export interface Gate {
  readonly peer: string;
  readonly atLeast: number;
  /** Which of our subjects promises it, where it is not the first. */
  readonly subject?: string;
}

export interface BenchmarkCase {
  readonly name: string;
  /** One sentence: what one unit of the figure is. */
  readonly measures: string;
  readonly unit: string;
  readonly better: Better;
  /** How many threads do the measured work: the number of CPUs that `pinned` takes. */
  readonly threads: 1 | 2;
  readonly placements: readonly Placement[];
  /** Whether the subjects read the hot data file, passed to them as `file=PATH`. */
  readonly readsDataFile?: boolean;
  /** Length of the timed window, where the default is too short or too long. */
  readonly windowSeconds?: number;
  /**
   * How many times as many rounds the case takes: where processes that run the same program differ
   * more than what is to be told apart.
   */
  readonly turns?: number;
  readonly gates?: readonly Gate[];
  /** What is promised of the CPU time of a unit. */
  readonly cpuGates?: readonly Gate[];
  /** A limit on our own median, in the case's unit, for what is promised as an absolute figure. */
  readonly limit?: number;
  /** Names of subjects that are annulus in another form: compared with the peers as well. */
  readonly alsoOurs?: readonly string[];
  /** The first is `annulus`; the others are its peers, save those in `alsoOurs`. */
  readonly subjects: readonly Subject[];
}

/** What one process of a subject reported. */
export interface Run {
  readonly value: number;
  /** Further fields of the subject's report, such as percentiles or the ring flags it got. */
  readonly extra: SubjectOptions;
}

/** How one run ended. */
export type RunOutcome =
  | { readonly kind: 'value'; readonly run: Run }
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** All rounds of one subject in one case and placement. */
export interface SubjectReport {
  readonly subject: string;
  /** Indexed by round; a round that failed is `undefined`. */
  readonly runs: readonly (Run | undefined)[];
  /** Why there are no (more) figures. */
  readonly skipped?: string;
  readonly failed?: string;
}

/** All subjects of one case in one placement. */
export interface CaseReport {
  readonly benchmark: BenchmarkCase;
  readonly placement: Placement;
  /** Set when the whole variant could not run, for example because `taskset` is missing. */
  readonly skipped?: string;
  readonly subjects: readonly SubjectReport[];
}
