/**
 * Entry of the writing process of a relay; `session.ts` starts it.
 */
import { writeAsOrdered } from './writer-process.ts';

void writeAsOrdered();
