import { hasClusterAgent } from '../facts/cluster-agent.ts';
import type { Check } from './check.ts';

export const noClusterAgent: Check = {
  id: 'cluster-agent',
  title: 'No agent in the cluster',
  severity: 'warns',
  cost: 'dear',
  roles: ['server'],
  why: 'Two agents of one cluster do the same work twice, and tell the control plane different things.',
  remedy: `Another installer has put an agent into the cluster, as a Deployment of the namespace
\`pipeops-system\`. This agent needs none: remove it. An installation with \`--adopt\` does that by itself.`,
  needs: [hasClusterAgent],
  run: async (facts) => {
    const isThere = await facts(hasClusterAgent);
    if (isThere === undefined) {
      return { notChecked: 'Kubernetes does not answer, or only root may ask' };
    }
    return isThere
      ? {
          code: 'CLUSTER_EXISTS',
          message: 'Another agent runs inside of the cluster',
          hint: 'Remove it',
          fix: 'sudo k3s kubectl delete deployment pipeops-agent --namespace pipeops-system',
        }
      : undefined;
  },
};
