import { AgentError } from '../../core/errors.ts';
import type { SnapshotHeader } from '../../protocol/files/snapshot.ts';
import type { MachineContext } from '../context.ts';
import { copyProblem } from './datastore.ts';
import { snapshotKeyMade } from './key.ts';
import { withSnapshotLock } from './lock.ts';
import { requireRoom } from './room.ts';
import { openSnapshot, readSnapshotHeader } from './sealed-file.ts';

/**
 * Opens a snapshot in a directory aside, and looks at its data as a restore would: whether they are whole,
 * and sealed with the token that is in it.
 * @throws AgentError SNAPSHOT_INVALID with what is wrong; BUSY, DISK_FULL, FILE_ACCESS
 */
export async function checkSnapshot(
  context: MachineContext,
  path: string,
): Promise<SnapshotHeader> {
  return await withSnapshotLock(context, 'snapshot check', async () => {
    const { files, places } = context;
    const scratch = `${places.snapshotsDirectory}/scratch`;
    await files.removeTree(scratch); // Of a run that was killed.
    const key = await snapshotKeyMade(context);
    await files.claimDirectory(scratch, { mode: 0o700, owner: 'root:root' });
    try {
      await requireRoom(context, scratch, (await readSnapshotHeader(context, path)).size_bytes);
      const data = `${scratch}/data`;
      const { header, secrets } = await openSnapshot(context, path, data, key);
      const problem = await copyProblem(context, header.datastore, data, secrets.token);
      if (problem === undefined) {
        return header;
      }
      throw new AgentError('SNAPSHOT_INVALID', `${path} could not be restored: ${problem}`, {
        hint: 'Make a new one: sudo pipeops-agent snapshot create',
      });
    } finally {
      await files.removeTree(scratch);
    }
  });
}
