/**
 * Runs the work one run at a time, so that an earlier run never ends after a later one. All who ask
 * during a run share the next one: at most one run waits.
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
