import { expectedError } from '../core/errors.ts';
import type { Files } from '../core/ports.ts';

/**
 * Notes in a file that the agent was ready, whatever comes: it may come right long after `install` has
 * given up, and what was usable once is not taken back (src/machine/finished.ts).
 * @returns to be called whenever it is ready; writes once
 */
export function noteReadyOnce(deps: { readonly files: Files }, path: string): () => Promise<void> {
  let isNoted = false;
  return async () => {
    if (isNoted) {
      return;
    }
    try {
      if ((await deps.files.stat(path)) === undefined) {
        await deps.files.writeAtomic(path, '', { mode: 0o600 });
      }
      isNoted = true;
    } catch (thrown) {
      expectedError(thrown); // The disk is full: the next time.
    }
  };
}
