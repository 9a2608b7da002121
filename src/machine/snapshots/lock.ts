import { AgentError } from '../../core/errors.ts';
import type { MachineContext } from '../context.ts';

/** One at a time makes, removes or restores snapshots; the lock ends with its process. @throws AgentError BUSY */
export async function withSnapshotLock<T>(
  { lock, places }: Pick<MachineContext, 'lock' | 'places'>,
  holder: string,
  work: () => Promise<T>,
): Promise<T> {
  const taken = lock(places.snapshotLockFile, holder);
  if ('heldBy' in taken) {
    throw new AgentError('BUSY', `"${taken.heldBy}" is at work on the snapshots`, {
      hint: 'Wait until it has ended, then run the same again',
    });
  }
  try {
    return await work();
  } finally {
    taken.release();
  }
}
