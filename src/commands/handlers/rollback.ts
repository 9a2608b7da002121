import type { V1Deployment, V1ReplicaSet } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { appliedFields } from '../../kubernetes/applied-fields.ts';
import { replicaSetsOf, revisionOf } from '../../kubernetes/replica-sets.ts';
import { restoreRevision } from '../../kubernetes/restore-revision.ts';
import { RollbackData, RollbackPayload, RollbackTarget } from '../../protocol/commands/workload.ts';
import type { CommandContext } from '../handler.ts';
import { applicationPaths } from '../managed-objects.ts';
import { rollOutAndTell, rolloutTimeoutMs } from '../roll-out.ts';
import { workloadCommand } from '../workload-command.ts';

/**
 * rollback: gives a Deployment the pod template of an earlier revision, from the history that
 * Kubernetes keeps in ReplicaSets. Which one is noted before the effect: to a rerun "the one
 * before" would mean another.
 */
export const rollbackCommand = workloadCommand({
  type: 'rollback',
  payload: RollbackPayload,
  data: RollbackData,
  timeoutMs: (payload) => rolloutTimeoutMs(payload),
  run: async (payload, context) => {
    const { kubernetes, signal } = context;
    const path = applicationPaths(payload).deployment;
    const deployment = await kubernetes.get<V1Deployment>(path, signal);
    const target =
      RollbackTarget.safeParse(context.checkpoint).data ??
      (await findTarget(payload, deployment, context));
    await context.setCheckpoint(target);
    const restored = await restoreRevision(
      kubernetes,
      deployment,
      { replicaSetUid: target.replica_set_uid, applied: appliedFields(deployment) },
      signal,
    );
    const rollout = await rollOutAndTell(context, payload);
    const label = `${payload.namespace}/${payload.name}`;
    const went = `${label}: back to revision ${target.revision}, which is ${rollout.revision} now\n`;
    return {
      output: `${went}${rollout.line}`,
      data: {
        revision: rollout.revision,
        rolled_back_to: target.revision,
        image: restored.spec?.template.spec?.containers[0]?.image ?? '',
        ...rollout.facts,
      },
      ...rollout.failure,
    };
  },
});

async function findTarget(
  payload: RollbackPayload,
  deployment: V1Deployment,
  context: CommandContext,
): Promise<RollbackTarget> {
  const history = await replicaSetsOf(context.kubernetes, deployment, context.signal);
  const found = choose(history, payload.revision);
  if (found?.metadata?.uid === undefined) {
    const wanted =
      payload.revision === undefined ? 'earlier revision' : `revision ${payload.revision}`;
    const kept = history.map(revisionOf).join(', ');
    throw new AgentError('NOT_FOUND', `${payload.namespace}/${payload.name} has no ${wanted}`, {
      hint: `Kubernetes keeps these revisions of it: ${kept || 'none'}`,
      details: { revisions: history.map(revisionOf) },
    });
  }
  return { replica_set_uid: found.metadata.uid, revision: revisionOf(found) };
}

/** @param history newest first */
function choose(
  history: readonly V1ReplicaSet[],
  revision: number | undefined,
): V1ReplicaSet | undefined {
  return revision === undefined
    ? history[1]
    : history.find((replicaSet) => revisionOf(replicaSet) === revision);
}
