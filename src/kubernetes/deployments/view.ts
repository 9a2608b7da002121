/**
 * A Deployment with what its controller has made of it. The controller writes revisions, ReplicaSets
 * and the status after the change, seconds later when it is busy and never while it is down: until
 * then they speak of an earlier change.
 */

import type { V1Deployment, V1ReplicaSet } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import type { KubernetesClient } from '../api/client.ts';
import { currentOf, replicaSetsOf, revisionOf } from './replica-sets.ts';

/** How often a controller that lags behind is checked. */
const POLL_MS = 250;

export interface DeploymentView {
  readonly deployment: V1Deployment;
  /** Its ReplicaSets, the newest revision first. */
  readonly history: readonly V1ReplicaSet[];
  /** The ReplicaSet of its pod template; undefined until the controller has made it. */
  readonly current: V1ReplicaSet | undefined;
  /** The controller has seen the last change: its status speaks of this one. */
  readonly observed: boolean;
}

export async function viewDeployment(
  client: KubernetesClient,
  deployment: V1Deployment,
  signal: AbortSignal,
): Promise<DeploymentView> {
  const history = await replicaSetsOf(client, deployment, signal);
  const observed = isObserved(deployment);
  return { deployment, history, current: currentOf(deployment, history), observed };
}

/**
 * Waits until the controller has taken up the last change of a Deployment, or the time is over.
 * @throws AgentError NOT_FOUND when there is none; INTERRUPTED by the signal
 */
export async function awaitController(
  { clock, client }: { readonly clock: Clock; readonly client: KubernetesClient },
  path: string,
  limitMs: number,
  signal: AbortSignal,
): Promise<DeploymentView> {
  const end = await pollUntil(clock, { everyMs: POLL_MS, limitMs }, signal, async () => {
    const view = await viewDeployment(client, await client.get<V1Deployment>(path, signal), signal);
    return isTakenUp(view) ? { found: view } : { soFar: view };
  });
  switch (end.kind) {
    case 'found':
      return end.found;
    case 'late':
      return end.soFar;
    case 'aborted':
      throw new AgentError('INTERRUPTED', `The wait for ${path} was interrupted`);
  }
}

/** A paused Deployment gets no ReplicaSet for what was changed meanwhile. */
export function isTakenUp({ deployment, current, observed }: DeploymentView): boolean {
  return observed && (current !== undefined || deployment.spec?.paused === true);
}

/** The number of the pod template as it is now; 0 while the controller has not given it one. */
export function currentRevision({ current, observed }: DeploymentView): number {
  return observed && current !== undefined ? revisionOf(current) : 0;
}

function isObserved({ metadata, status }: V1Deployment): boolean {
  return (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0);
}

/** Every replica is of the last change, and available (kubernetes.io, "Complete Deployment"). */
export function isRolledOut(deployment: V1Deployment): boolean {
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = deployment.status ?? {};
  const wanted = deployment.spec?.replicas ?? 1;
  return (
    isObserved(deployment) &&
    updatedReplicas >= wanted &&
    replicas === wanted &&
    availableReplicas >= wanted
  );
}
