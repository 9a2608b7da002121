import { AgentError } from '../../core/errors.ts';
import { pollUntil } from '../../core/waiting.ts';
import type { MachineContext } from '../context.ts';

/** Each holds it for one small file. */
const LIMIT_MS = 5_000;
const POLL_MS = 20;

export type NotesLockDeps = Pick<MachineContext, 'clock' | 'lock' | 'places' | 'signal'>;

/**
 * For whoever reads what the helper keeps in root's directory and then writes it: several processes may do so at
 * once, and a person with `host approve`.
 * @throws AgentError BUSY, INTERRUPTED
 */
export async function withNotesLock<T>(
  { clock, lock, places, signal }: NotesLockDeps,
  work: () => Promise<T>,
): Promise<T> {
  const pace = { everyMs: POLL_MS, limitMs: LIMIT_MS };
  const end = await pollUntil(clock, pace, signal, async () => {
    const taken = lock(places.helperNotesLockFile, 'helper');
    return 'heldBy' in taken ? { soFar: taken.heldBy } : { found: taken };
  });
  switch (end.kind) {
    case 'found':
      try {
        return await work();
      } finally {
        end.found.release();
      }
    case 'late':
      throw new AgentError(
        'BUSY',
        "Another process keeps what the helper's requests are noted in",
        {
          hint: 'Try again later',
        },
      );
    case 'aborted':
      throw new AgentError('INTERRUPTED', 'Interrupted while waiting for another process');
  }
}
