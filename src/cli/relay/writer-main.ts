/**
 * Entry of the writing process of a relay; `session.ts` starts it.
 */
import { steadyExit } from '../steady-exit.ts';
import { writeAsOrdered } from './writer-process.ts';

steadyExit();
void writeAsOrdered();
