import { SnapshotState } from '../../protocol/files/snapshot.ts';
import type { Fact } from './fact.ts';

/** How the schedule of snapshots went; undefined where it has not run yet. Root's. */
export const snapshotState: Fact<SnapshotState | undefined> = {
  id: 'snapshots',
  read: async ({ files, places }) => {
    const text = await files.readText(places.snapshotStateFile);
    try {
      return text === undefined ? undefined : SnapshotState.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined; // Cut off by a power cut: the next run writes it anew.
    }
  },
};
