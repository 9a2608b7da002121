/** What a drain does with a pod (kubernetes.io, "Safely Drain a Node"). */
import type { V1Pod } from '@kubernetes/client-node';
import { MIRROR_ANNOTATION } from '../../core/labels.ts';
import { AGENT_NAMESPACE } from '../account/rbac.ts';

/**
 * `evict`; `skip`: it may stay on a drained node; `refuse`: it should go, and the agent does not
 * do it. Data in an emptyDir goes with the pod: that is what an emptyDir promises.
 */
export type PodPlan =
  | { readonly action: 'evict' }
  | { readonly action: 'skip' | 'refuse'; readonly reason: string };

export function planFor(pod: V1Pod): PodPlan {
  // The kubelet's own pod, from a file of the node: it cannot be evicted.
  if (pod.metadata?.annotations?.[MIRROR_ANNOTATION] !== undefined) {
    return { action: 'skip', reason: 'it belongs to the node itself (static pod)' };
  }
  if (pod.metadata?.namespace === AGENT_NAMESPACE) {
    return { action: 'skip', reason: 'the agent needs it' };
  }
  const controller = pod.metadata?.ownerReferences?.find((each) => each.controller === true);
  if (controller?.kind === 'DaemonSet') {
    return { action: 'skip', reason: `DaemonSet "${controller.name}" would start it again here` };
  }
  // Whatever ends already is only waited for.
  if (pod.metadata?.deletionTimestamp !== undefined) {
    return { action: 'evict' };
  }
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') {
    return { action: 'skip', reason: 'it has ended' };
  }
  if (controller === undefined) {
    return { action: 'refuse', reason: 'nothing would start it again elsewhere; delete it first' };
  }
  return { action: 'evict' };
}
