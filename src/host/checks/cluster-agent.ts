import { clusterAgents } from '../facts/cluster-agents.ts';
import type { Check } from './check.ts';

/** Agents that are named. */
const NAMED_MAX = 5;

export const noClusterAgent: Check = {
  id: 'cluster-agent',
  title: 'No agent in the cluster',
  severity: 'warns',
  cost: 'dear',
  roles: ['server'],
  why: 'Two agents of one cluster do the same work twice, and tell the control plane different things.',
  remedy: `Another installer has put an agent into the cluster, as a Deployment. It is known by its image, its labels or
its name, in any namespace. This agent needs none: remove it. An installation with \`--adopt\` does that by itself where
it is \`pipeops-agent\` in \`pipeops-system\`.`,
  needs: [clusterAgents],
  run: async (facts) => {
    const agents = await facts(clusterAgents);
    if (agents === undefined) {
      return { notChecked: 'Kubernetes does not answer, or only root may ask' };
    }
    const named = agents.slice(0, NAMED_MAX);
    return agents.length === 0
      ? undefined
      : {
          code: 'CLUSTER_EXISTS',
          message: `Another agent runs inside of the cluster: ${named.map(({ namespace, name }) => `${name} in ${namespace}`).join(', ')}`,
          hint: 'Remove it',
          fix: named
            .map(
              ({ namespace, name }) =>
                `sudo k3s kubectl delete deployment ${name} --namespace ${namespace}`,
            )
            .join('\n'),
          details: { deployments: named },
        };
  },
};
