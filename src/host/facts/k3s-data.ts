import { K3S_DATA_DIRECTORY, K3S_VOLUMES_DIRECTORY } from '../../core/k3s-places.ts';
import type { Fact } from './fact.ts';

/** Where people put things before k3s is there (docs.k3s.io: air-gapped images, snapshots, manifests). */
const PLACES = ['agent/images', 'server/db/snapshots', 'server/manifests', 'server/static'].map(
  (place) => `${K3S_DATA_DIRECTORY}/${place}`,
);

/** Which of the known places have something in them, or else the data directory if it has something. */
export const k3sData: Fact<readonly string[]> = {
  id: 'k3s-data',
  read: async ({ files }) => {
    const filled = async (path: string) => (await files.list(path)).length > 0;
    const found = await Promise.all(PLACES.map(filled));
    const places = PLACES.filter((_, index) => found[index]);
    // What an earlier removal has kept, and the next one keeps again.
    const others = (await files.list(K3S_DATA_DIRECTORY)).filter(
      (name) => `${K3S_DATA_DIRECTORY}/${name}` !== K3S_VOLUMES_DIRECTORY,
    );
    return places.length === 0 && others.length > 0 ? [K3S_DATA_DIRECTORY] : places;
  },
};
