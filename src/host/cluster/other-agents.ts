import { AgentError } from '../../core/errors.ts';
import { CONTROL_PLANE_LABEL, JOIN_TOKEN_ANNOTATION } from '../../core/labels.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec } from '../../core/ports.ts';
import { NodeList } from '../../protocol/kubectl.ts';
import { readKubernetesJson } from '../k3s/kubectl.ts';

/**
 * Whether agents of other servers use what the cluster has for this one's. Of a k3s that was here before us
 * only the servers count that have joined with a token of ours: the others may have no agent.
 * @returns undefined where Kubernetes does not answer
 */
export async function hasOtherAgents(
  deps: { readonly clock: Clock; readonly exec: Exec; readonly places: Places },
  { isAdopted }: { readonly isAdopted: boolean },
): Promise<boolean | undefined> {
  try {
    const { items } = NodeList.parse(await readKubernetesJson(deps, ['get', 'nodes']));
    const servers = items.filter(({ metadata }) => metadata.labels[CONTROL_PLANE_LABEL] === 'true');
    const isJoined = ({ metadata }: (typeof items)[number]) =>
      metadata.annotations[JOIN_TOKEN_ANNOTATION] !== undefined;
    return isAdopted ? servers.some(isJoined) : servers.length > 1;
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      return undefined;
    }
    throw thrown;
  }
}
