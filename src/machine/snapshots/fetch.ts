import { AgentError } from '../../core/errors.ts';
import type { MachineContext } from '../context.ts';
import { loadEffectiveConfig } from '../effective-config.ts';
import { type CopiedSnapshot, copyPlaces } from './copies.ts';
import { snapshotKeyMade } from './key.ts';
import { withSnapshotLock } from './lock.ts';
import { readSnapshotHeader } from './sealed-file.ts';
import { entryOf, type SnapshotEntry, snapshotPath } from './shelf.ts';
import { whoseHere } from './whose.ts';

async function placesHere(context: MachineContext) {
  const { config } = await loadEffectiveConfig(context, {});
  const places = await copyPlaces(context, config, await whoseHere(context));
  if (places.length === 0) {
    throw new AgentError('CONFIG_INVALID', 'No place for copies of snapshots is set', {
      hint: 'Set snapshots.copy_to, or snapshots.s3_endpoint and what belongs to it, in config.yaml',
    });
  }
  return places;
}

/** Copies of this node of this cluster. @throws AgentError CONFIG_INVALID, STORAGE_UNREACHABLE, … */
export async function listCopies(
  context: MachineContext,
): Promise<readonly (CopiedSnapshot & { readonly place: string })[]> {
  const lists = await Promise.all(
    (await placesHere(context)).map(async ({ title, list }) =>
      (await list()).map((copy) => ({ ...copy, place: title })),
    ),
  );
  return lists.flat();
}

/**
 * Brings a copy back among the snapshots of this machine.
 * @param from a path in the directory of copies, or a key in the store
 * @throws AgentError CONFIG_INVALID, NOT_FOUND, STORAGE_UNREACHABLE, SNAPSHOT_INVALID, USAGE where it is here
 */
export async function fetchCopy(context: MachineContext, from: string): Promise<SnapshotEntry> {
  return await withSnapshotLock(context, 'snapshot fetch', async () => {
    const { files, places } = context;
    await snapshotKeyMade(context); // With the directory, which is root's.
    const isPath = from.startsWith('/');
    const place = (await placesHere(context)).find(({ title }) => title.startsWith('/') === isPath);
    if (place === undefined) {
      throw new AgentError('CONFIG_INVALID', `No place for copies of this kind is set: ${from}`, {
        hint: 'A path is one in snapshots.copy_to, anything else a key at snapshots.s3_endpoint',
      });
    }
    const partial = `${places.snapshotsDirectory}/fetched.part`;
    try {
      await place.bring(from, partial);
      const header = await readSnapshotHeader(context, partial);
      const target = snapshotPath(places, header.name);
      if ((await files.stat(target)) !== undefined) {
        throw new AgentError('USAGE', `There is a snapshot "${header.name}" here already`, {
          hint: 'Delete that one first: sudo pipeops-agent snapshot delete',
        });
      }
      await files.rename(partial, target);
      return await entryOf(context, target, header);
    } finally {
      await files.remove(partial);
    }
  });
}
