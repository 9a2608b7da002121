import { toAgentError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { isPassing } from './trouble.ts';

/** Between two tries to write what the disk did not take. */
const RETRY_MS = 1_000;

/**
 * Writes to the journal, again and again while the disk is full: what was done must be told.
 * @throws AgentError DISK_FULL, BUSY or FILE_ACCESS when the signal aborts before it worked
 */
export async function writePatiently<T>(
  deps: { readonly clock: Clock },
  write: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    try {
      return await write();
    } catch (thrown) {
      if (!(isPassing(toAgentError(thrown)) && (await deps.clock.sleep(RETRY_MS, signal)))) {
        throw thrown;
      }
    }
  }
}
