import { K3S_EXECUTABLE } from '../../core/k3s-places.ts';
import { kubectl } from '../k3s/kubectl.ts';
import type { Fact } from './fact.ts';

/** Where an agent of PipeOps runs that was installed into the cluster. */
const NAMESPACE = 'pipeops-system';
const NAME = 'pipeops-agent';

/**
 * Whether this cluster also has an agent inside. Undefined where it does not answer, or not to this user.
 */
export const hasClusterAgent: Fact<boolean | undefined> = {
  id: 'cluster-agent',
  read: async (deps) => {
    if (deps.uid !== 0 || (await deps.files.stat(K3S_EXECUTABLE)) === undefined) {
      return undefined;
    }
    const words = ['get', `deployment/${NAME}`, `--namespace=${NAMESPACE}`, '--ignore-not-found'];
    const { exitCode, stdout } = await kubectl(deps, [...words, '--output=name']);
    return exitCode === 0 ? stdout.trim() !== '' : undefined;
  },
};
