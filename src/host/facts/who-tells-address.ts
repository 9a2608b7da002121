import { K3S_CONFIG_FILE } from '../../core/k3s-places.ts';
import { readK3sFiles } from '../k3s/told.ts';
import type { Fact } from './fact.ts';

/**
 * Who tells k3s the address of its node: `nobody`, then it takes the one it finds at its start; `us`, in our own
 * file; `other`, in a file of somebody else.
 */
export const whoTellsAddress: Fact<'nobody' | 'us' | 'other'> = {
  id: 'who-tells-address',
  read: async (deps) => {
    const place = (await readK3sFiles(deps)).places['node-ip'];
    if (place === undefined) {
      return 'nobody';
    }
    return place === K3S_CONFIG_FILE ? 'us' : 'other';
  },
};
