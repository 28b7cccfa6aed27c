/** Where things are, seen from the compiled harness in `build/bench/harness`. */

import { fileURLToPath } from 'node:url';

/** The repository. */
export const ROOT: string = fileURLToPath(new URL('../../../', import.meta.url));

/** Compiled Node subjects. */
export const SUBJECTS: string = fileURLToPath(new URL('../subjects/', import.meta.url));

/** Sources of the C subjects; they are not copied by the compiler. */
export const PEER_SOURCES: string = `${ROOT}bench/peers/`;

/** Where C subjects are compiled to. */
export const PEER_BINARIES: string = fileURLToPath(new URL('../peers/', import.meta.url));
