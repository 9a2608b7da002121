import { otherClusters } from '../facts/other-clusters.ts';
import { BARE, type Check } from './check.ts';

/** Two Kubernetes on one machine break each other. */
export const noOtherCluster: Check = {
  id: 'other-cluster',
  title: 'No other Kubernetes',
  severity: 'blocks',
  cost: 'dear',
  roles: BARE,
  why: "Two Kubernetes on one machine take each other's ports and network rules.",
  remedy: 'Remove the other one with its own tools, or use another machine.',
  needs: [otherClusters],
  run: async (facts) => {
    const found = await facts(otherClusters);
    if (found.length === 0) {
      return undefined;
    }
    const list = found.map(({ what, path }) => `${what} (${path})`).join(', ');
    return {
      code: 'CLUSTER_EXISTS',
      message: `This machine already runs ${list}`,
      hint: `Use another machine, or remove it first: ${found.map(({ remove }) => remove).join(', ')}`,
    };
  },
};
