/** All cases, in the order in which they run. */

import type { BenchmarkCase } from '../harness/types.ts';
import { CPU_SUFFIX } from '../harness/cpu.ts';
import { channelCases } from './channel.ts';
import { memoryCases } from './memory.ts';
import { poolCases } from './pool.ts';
import { proactorCases } from './proactor.ts';
import { relayCases } from './relay.ts';
import { uringCases } from './uring.ts';

export const allCases: readonly BenchmarkCase[] = [
  ...uringCases,
  ...proactorCases,
  ...channelCases,
  ...memoryCases,
  ...poolCases,
  ...relayCases,
];

/**
 * The cases that `pattern` names: the case of exactly that name, else all whose name begins with
 * it. So `uring.read4k.depth1` is one case although it begins the name of `depth128` as well.
 * The CPU time of a case is measured with the case.
 */
export function casesNamed(name: string): readonly BenchmarkCase[] {
  const pattern = name.endsWith(CPU_SUFFIX) ? name.slice(0, -CPU_SUFFIX.length) : name;
  const exact = allCases.filter((benchmark) => benchmark.name === pattern);
  if (exact.length > 0) return exact;
  return allCases.filter((benchmark) => benchmark.name.startsWith(pattern));
}
