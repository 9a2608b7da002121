import { expectedError } from '../../core/errors.ts';
import { K3S_EXECUTABLE } from '../../core/k3s-places.ts';
import { type AgentDeployment, findAgents } from '../cluster/found-agents.ts';
import type { Fact } from './fact.ts';

/** The agents that run inside of this cluster. Undefined where it does not answer, or not to this user. */
export const clusterAgents: Fact<readonly AgentDeployment[] | undefined> = {
  id: 'cluster-agents',
  read: async (deps) => {
    if (deps.uid !== 0 || (await deps.files.stat(K3S_EXECUTABLE)) === undefined) {
      return undefined;
    }
    try {
      return await findAgents(deps);
    } catch (thrown) {
      if (expectedError(thrown).code === 'KUBERNETES_API') {
        return undefined;
      }
      throw thrown;
    }
  },
};
