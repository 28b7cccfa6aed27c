/** How a busy end of a channel works: it polls for a few microseconds before it goes to sleep. */

/** Empty polls before sleeping: at 20 ns each about as long as being woken would take. */
const POLLS = 500;

/**
 * Repeats `step` until `goOn` is false.
 *
 * @param step - Does what can be done now; returns how much that was.
 * @param wait - Resolves when there is something to do again.
 * @param goOn - Told what each step did.
 */
export async function pollThenWait(
  step: () => number,
  wait: () => Promise<unknown>,
  goOn: (units: number) => boolean,
): Promise<void> {
  let polls = 0;
  for (;;) {
    const units = step();
    if (units > 0) {
      polls = 0;
      if (!goOn(units)) return;
    } else if (++polls > POLLS) {
      polls = 0;
      await wait();
    }
  }
}
