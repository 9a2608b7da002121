import { K3S_DATA_DIRECTORY } from '../../core/k3s-places.ts';
import { k3sData } from '../facts/k3s-data.ts';
import { BARE, type Check } from './check.ts';

/** k3s uses what it finds there. Our uninstall keeps it (k3s/data-of-before.ts), k3s' own removes it. */
export const noDataOfOthers: Check = {
  id: 'k3s-data',
  title: 'Nothing in the data of k3s',
  severity: 'warns',
  cost: 'dear',
  roles: BARE,
  why: 'k3s takes up what it finds in its data directory, and may change it.',
  remedy:
    'Keep a copy elsewhere. `uninstall` leaves what was there before; ' +
    "k3s' own uninstaller removes all of it.",
  needs: [k3sData],
  run: async (facts) => {
    const found = await facts(k3sData);
    if (found.length === 0) {
      return undefined;
    }
    return {
      code: 'CHECK_FAILED',
      message: `There are files in ${found.join(', ')} already: k3s uses them`,
      hint: `Keep a copy elsewhere: k3s may change them. Uninstall leaves them in ${K3S_DATA_DIRECTORY}`,
    };
  },
};
