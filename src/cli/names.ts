/**
 * Arguments that are names.
 */
import { InvalidArgumentError } from 'commander';

/** A name as it was given; an empty one, such as of a variable that is not set, is refused. */
export function parseName(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  return text;
}
