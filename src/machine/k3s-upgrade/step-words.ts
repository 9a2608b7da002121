import type { K3sUpgradeRecord } from '../../protocol/files/k3s-upgrade.ts';

/** What a person is told of each step. */
export const STEP_WORDS: Readonly<Record<K3sUpgradeRecord['step'], string>> = {
  fetch: 'fetching and checking the program',
  snapshot: 'making a snapshot',
  drain: 'moving the pods away',
  switch: 'putting the program in its place',
  judge: 'restarting k3s, and looking whether the node is well',
  back: 'not well; going back',
  end: 'letting the node take pods again',
};
