import type { V1Deployment } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import type { KubernetesClient, Manifest } from '../api/client.ts';
import { manifestIn } from './change.ts';
import { replicaSetsOf, templateOf } from './replica-sets.ts';

interface Revision {
  readonly replicaSetUid: string;
  /** What the agent applies besides the template: what it had applied, changed as wanted. */
  readonly applied: Manifest;
}

/**
 * Gives a Deployment exactly the pod template of one of its ReplicaSets back. It uses server-side
 * apply, so that the agent owns the fields and a later deploy can remove them. Where that would
 * leave something in the template that another manager added since, it writes the whole object.
 * @throws AgentError NOT_FOUND when the ReplicaSet is not kept any more
 */
export async function restoreRevision(
  client: KubernetesClient,
  deployment: V1Deployment,
  { replicaSetUid, applied }: Revision,
  signal: AbortSignal,
): Promise<V1Deployment> {
  const { name = '', namespace, uid } = deployment.metadata ?? {};
  const all = await replicaSetsOf(client, deployment, signal);
  const replicaSet = all.find(({ metadata }) => metadata?.uid === replicaSetUid);
  if (replicaSet === undefined) {
    throw new AgentError('NOT_FOUND', `${namespace}/${name} has no such revision any more`, {
      hint: 'Kubernetes keeps as many as spec.revisionHistoryLimit says; deploy it again instead',
    });
  }
  const template = templateOf(replicaSet);
  const path = pathOfObject(KINDS.deployment, { namespace, name });
  // With the UID, a Deployment that was deleted meanwhile is not made anew.
  const wanted = {
    ...applied,
    metadata: { ...manifestIn(applied, 'metadata'), uid },
    spec: { ...manifestIn(applied, 'spec'), template },
  };
  const preview = await client.apply<V1Deployment>(path, wanted, signal, { dryRun: true });
  if (Bun.deepEquals(preview.spec?.template, template)) {
    return await client.apply<V1Deployment>(path, wanted, signal);
  }
  const exact = { ...preview, spec: { ...preview.spec, template } };
  return await client.replace<V1Deployment>(path, exact, signal);
}
