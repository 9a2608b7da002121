import type { MachineContext } from '../context.ts';
import { listSnapshots, type SnapshotEntry } from './shelf.ts';
import { whoseHere } from './whose.ts';

/**
 * Those of this node of this cluster, newest first: the schedule is theirs. Others were fetched, or are of the
 * cluster before a restore: a person deletes them.
 * @throws AgentError CONFIG_INVALID, FILE_ACCESS
 */
export async function ownSnapshots(context: MachineContext): Promise<readonly SnapshotEntry[]> {
  const { cluster, node } = await whoseHere(context);
  const here = await listSnapshots(context);
  return here.filter((each) => each.cluster === cluster && each.node === node);
}
