import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import { LEFT_AS_IT_IS, type Resource } from '../engine/resource.ts';

/**
 * The snapshots on this machine. Nothing makes them at an installation, and they stay when it is removed:
 * whoever removes a cluster by mistake needs them. They go with the data of volumes.
 */
export function snapshotDirectory({
  files,
  places,
}: {
  readonly files: Files;
  readonly places: Places;
}): Resource {
  const { snapshotsDirectory } = places;
  return {
    id: 'snapshot-directory',
    title: 'Keep the snapshots',
    touches: [],
    entries: [],
    ...LEFT_AS_IT_IS,
    undo: async ({ deleteData }) =>
      deleteData && (await files.stat(snapshotsDirectory)) !== undefined
        ? [
            {
              title: `Remove directory ${snapshotsDirectory}`,
              changes: [{ action: 'remove', target: snapshotsDirectory }],
              entries: [],
              run: async () => {
                await files.removeTree(snapshotsDirectory);
              },
            },
          ]
        : [],
  };
}
