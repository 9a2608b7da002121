import { AgentError } from '../../core/errors.ts';
import { K3S_SERVER_TOKEN_FILE } from '../../core/k3s-places.ts';
import type { Progress } from '../../core/ports.ts';
import { installedK3sVersion } from '../../host/k3s/program.ts';
import {
  SNAPSHOT_SUFFIX,
  type SnapshotHeader,
  type SnapshotKind,
} from '../../protocol/files/snapshot.ts';
import { snapshotKeyId } from '../../protocol/secrets/snapshot-key.ts';
import type { MachineContext } from '../context.ts';
import { copyDatastore, copyProblem, datastoreBytes, datastoreHere } from './datastore.ts';
import { snapshotKeyMade } from './key.ts';
import { withSnapshotLock } from './lock.ts';
import { requireRoom } from './room.ts';
import { openSnapshot, sealFile } from './sealed-file.ts';
import { entryOf, type SnapshotEntry, snapshotPath } from './shelf.ts';
import { whoseHere } from './whose.ts';

const SALT_BYTES = 16;
/** The copy and the packed file stand beside each other for a moment. */
const ROOM_FACTOR = 2;
const PARTIAL_SUFFIX = '.part';

export interface SnapshotWishes {
  /** The whole name of the file; undefined: the kind and the time. */
  readonly name: string | undefined;
  readonly kind: SnapshotKind;
}

/**
 * `snapshot create`: a copy of the cluster's data, checked, sealed with the token that belongs to it, and
 * opened once more. k3s runs on.
 * @throws AgentError NOT_A_SERVER, HOST_UNSUPPORTED, DISK_FULL, BUSY, SNAPSHOT_INVALID, TOOL_FAILED; USAGE where
 *   the name is taken
 */
export async function createSnapshot(
  context: MachineContext,
  wishes: SnapshotWishes,
  update: Progress['update'] = () => undefined,
): Promise<SnapshotEntry> {
  return await withSnapshotLock(context, 'snapshot create', async () => {
    const header = await headerOf(context, wishes);
    const target = snapshotPath(context.places, header.name);
    if ((await context.files.stat(target)) !== undefined) {
      throw new AgentError('USAGE', `There is a snapshot "${header.name}" already`, {
        hint: 'Give another --name, or delete that one: sudo pipeops-agent snapshot delete',
      });
    }
    const work = workDirectory(context);
    await context.files.removeTree(work); // Of a run that was killed.
    await context.files.claimDirectory(work, { mode: 0o700, owner: 'root:root' });
    try {
      const whole = await makeIn(context, work, target, header, update);
      return await entryOf(context, target, whole);
    } finally {
      await context.files.removeTree(work);
    }
  });
}

function workDirectory({ places }: MachineContext): string {
  return `${places.snapshotsDirectory}/work`;
}

async function headerOf(
  context: MachineContext,
  { name, kind }: SnapshotWishes,
): Promise<Omit<SnapshotHeader, 'size_bytes'>> {
  const datastore = await datastoreHere(context);
  const key = await snapshotKeyMade(context);
  const created = context.clock.now().toISOString();
  const { cluster, node } = await whoseHere(context);
  return {
    pipeops_snapshot: 1,
    name: name ?? `${kind}-${created.slice(0, 19).replaceAll(/[-:]/g, '').toLowerCase()}z`,
    kind,
    created,
    node,
    datastore,
    k3s: (await installedK3sVersion(context)) ?? null,
    cluster,
    key_id: snapshotKeyId(key),
    salt: Buffer.from(context.random.bytes(SALT_BYTES)).toString('base64'),
  };
}

async function makeIn(
  context: MachineContext,
  work: string,
  target: string,
  header: Omit<SnapshotHeader, 'size_bytes'>,
  update: Progress['update'],
): Promise<SnapshotHeader> {
  const { files } = context;
  const { datastore } = header;
  const bytes = await datastoreBytes(context, datastore);
  await requireRoom(context, context.places.snapshotsDirectory, bytes * ROOM_FACTOR);
  const token = ((await files.readText(K3S_SERVER_TOKEN_FILE)) ?? '').trim();
  const data = `${work}/data`;
  update('copying the data');
  await copyDatastore(context, datastore, data);
  update('checking the copy');
  const problem = await copyProblem(context, datastore, data, token);
  if (problem !== undefined) {
    throw new AgentError('SNAPSHOT_INVALID', `The copy could not be restored: ${problem}`, {
      hint: 'See what k3s says of its data: journalctl -u k3s. Nothing was kept of the copy',
    });
  }
  update('packing and sealing');
  const whole: SnapshotHeader = { ...header, size_bytes: (await files.stat(data))?.size ?? 0 };
  const key = await snapshotKeyMade(context);
  const partial = `${work}/${header.name}${SNAPSHOT_SUFFIX}${PARTIAL_SUFFIX}`;
  const sealed = await sealFile(context, data, partial, { header: whole, secrets: { token } }, key);
  update('opening it once more');
  const { sha256 } = await openSnapshot(context, partial, undefined, key);
  if (sha256 !== sealed) {
    throw new AgentError('SNAPSHOT_INVALID', 'The disk gives back other bytes than were written', {
      hint: 'Check the disk: journalctl -k',
    });
  }
  await files.rename(partial, target);
  return whole;
}
