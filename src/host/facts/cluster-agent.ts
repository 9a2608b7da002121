import { expectedError } from '../../core/errors.ts';
import { K3S_EXECUTABLE } from '../../core/k3s-places.ts';
import { hasFoundAgent } from '../cluster/found-agent.ts';
import type { Fact } from './fact.ts';

/** Where an agent of PipeOps runs that was installed into the cluster. */
const NAMESPACE = 'pipeops-system';

/**
 * Whether this cluster also has an agent inside. Undefined where it does not answer, or not to this user.
 */
export const hasClusterAgent: Fact<boolean | undefined> = {
  id: 'cluster-agent',
  read: async (deps) => {
    if (deps.uid !== 0 || (await deps.files.stat(K3S_EXECUTABLE)) === undefined) {
      return undefined;
    }
    try {
      return await hasFoundAgent(deps, NAMESPACE);
    } catch (thrown) {
      if (expectedError(thrown).code === 'KUBERNETES_API') {
        return undefined;
      }
      throw thrown;
    }
  },
};
