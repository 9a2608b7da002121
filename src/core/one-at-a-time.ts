/**
 * Runs the work once at a time, so that what began earlier never ends later. All who ask while it
 * runs share one more run: at most one waits.
 */
export function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;
  return () => {
    if (waiting === undefined) {
      waiting = last.then(() => {
        waiting = undefined;
        return work();
      });
      last = waiting;
    }
    return waiting;
  };
}
