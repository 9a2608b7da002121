/** `rollback_on_failure`: what was there before, and the way back to it. */
import type { KubernetesObject, V1Deployment } from '@kubernetes/client-node';
import { appliedFields } from '../kubernetes/applied-fields.ts';
import { type AppliedDeployment, appliedDeployment } from '../kubernetes/change-deployment.ts';
import type { Manifest } from '../kubernetes/client.ts';
import { removeAndWait } from '../kubernetes/removal.ts';
import { replicaSetsOf } from '../kubernetes/replica-sets.ts';
import { restoreRevision } from '../kubernetes/restore-revision.ts';
import type { DeployCheckpoint } from '../protocol/commands/deploy.ts';
import type { DeploymentTarget } from '../protocol/commands/fields.ts';
import type { CommandContext } from './handler.ts';
import { applicationPaths, isManaged } from './managed-objects.ts';
import { rollOut } from './roll-out.ts';

type Before = DeployCheckpoint['before'];

export interface WentBack {
  readonly to: 'earlier_revision' | 'nothing';
  /** All replicas of what was there before are ready again, or everything new is gone. */
  readonly complete: boolean;
  readonly revision: number;
}

/** What the agent had applied of each object of an application; null for what is not there. */
export async function lookBefore(
  context: CommandContext,
  target: DeploymentTarget,
): Promise<Before> {
  const { kubernetes, signal } = context;
  const paths = applicationPaths(target);
  const look = async (path: string) => {
    const object = await kubernetes.find(path, signal);
    return object === undefined ? null : appliedFields(object);
  };
  const deployment = await kubernetes.find<V1Deployment>(paths.deployment, signal);
  const current =
    deployment === undefined ? undefined : (await replicaSetsOf(kubernetes, deployment, signal))[0];
  return {
    deployment:
      deployment === undefined
        ? null
        : withReplicas(appliedDeployment(deployment), deployment.spec?.replicas),
    service: await look(paths.service),
    ingress: await look(paths.ingress),
    replica_set_uid: current?.metadata?.uid ?? null,
  };
}

/** Who scaled it meanwhile keeps that: an application comes back as large as it was. */
function withReplicas(
  applied: AppliedDeployment,
  replicas: number | undefined,
): Before['deployment'] {
  return { ...applied, spec: { ...applied.spec, replicas } };
}

/** Safe to run again. */
export async function goBack(
  context: CommandContext,
  payload: DeploymentTarget & { readonly wait_seconds: number },
  before: Before,
): Promise<WentBack> {
  const { kubernetes, signal } = context;
  const paths = applicationPaths(payload);
  await restorePart(context, paths.ingress, before.ingress);
  await restorePart(context, paths.service, before.service);
  if (before.deployment === null) {
    await restorePart(context, paths.deployment, null);
    return { to: 'nothing', complete: true, revision: 0 };
  }
  if (before.replica_set_uid === null) {
    await restorePart(context, paths.deployment, before.deployment);
  } else {
    const deployment = await kubernetes.get<V1Deployment>(paths.deployment, signal);
    const revision = { replicaSetUid: before.replica_set_uid, applied: before.deployment };
    await restoreRevision(kubernetes, deployment, revision, signal);
  }
  const outcome = await rollOut(context, payload, payload.wait_seconds);
  return { to: 'earlier_revision', complete: outcome.complete, revision: outcome.revision };
}

async function restorePart(
  context: CommandContext,
  path: string,
  before: Manifest | null,
): Promise<void> {
  const { kubernetes, signal } = context;
  if (before !== null) {
    await kubernetes.apply<KubernetesObject>(path, before, signal);
    return;
  }
  const there = await kubernetes.find(path, signal);
  if (there?.metadata?.uid !== undefined && isManaged(there)) {
    await removeAndWait(
      { clock: context.clock, client: kubernetes },
      path,
      there.metadata.uid,
      signal,
    );
  }
}
