import { toAgentError } from '../../core/errors.ts';
import type { HelperRequest, MadeSnapshot } from '../../protocol/helper.ts';
import type { MachineContext } from '../context.ts';
import { createSnapshot } from '../snapshots/create.ts';
import { removeExpired } from '../snapshots/expire.ts';
import { listSnapshots, type SnapshotEntry } from '../snapshots/shelf.ts';

type Request = Extract<HelperRequest, { verb: 'snapshot' }>;

/**
 * A snapshot that the control plane asked for. It stays on this machine; a command that runs again is answered
 * with the one that it has made.
 * @throws AgentError as `createSnapshot`
 */
export async function commandedSnapshot(
  context: MachineContext,
  { command_id: commandId }: Request,
  tell: (progress: string) => Promise<void>,
): Promise<MadeSnapshot> {
  const digest = new Bun.CryptoHasher('sha256').update(commandId).digest('hex');
  const name = `command-${digest.slice(0, 12)}`;
  const known = (await listSnapshots(context)).find((each) => each.name === name);
  if (known !== undefined) {
    return made(known);
  }
  const wishes = { name, kind: 'command' as const };
  const snapshot = await createSnapshot(context, wishes, (text) => void tell(text));
  await removeExpired(context).catch((thrown: unknown) => {
    // It is made; the next run of the schedule removes what is too much.
    context.log.warn('old snapshots stay', { error_code: toAgentError(thrown).code });
  });
  return made(snapshot);
}

function made({ name, created, bytes, datastore, node }: SnapshotEntry): MadeSnapshot {
  return { name, created, bytes, datastore, node };
}
