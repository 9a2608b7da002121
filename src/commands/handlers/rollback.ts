import type { V1ReplicaSet } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { appliedFields } from '../../kubernetes/deployments/applied-fields.ts';
import { revisionOf, sameContent, templateOf } from '../../kubernetes/deployments/replica-sets.ts';
import { restoreRevision } from '../../kubernetes/deployments/restore-revision.ts';
import {
  awaitController,
  type DeploymentView,
  isTakenUp,
} from '../../kubernetes/deployments/view.ts';
import { RollbackData, RollbackPayload, RollbackTarget } from '../../protocol/commands/workload.ts';
import { applicationPaths } from '../applications/managed-objects.ts';
import { workloadCommand } from '../applications/of-one-deployment.ts';
import { rollOutAndTell, rolloutTimeoutMs } from '../applications/roll-out.ts';
import { readCheckpoint } from '../engine/checkpoint.ts';
import type { CommandContext } from '../engine/handler.ts';

/**
 * How long to wait for the controller before choosing a revision: until it has taken up the last
 * change, the newest revision is not what runs. After that the pod template alone decides.
 */
const CONTROLLER_WAIT_MS = 20_000;

/**
 * rollback: gives a Deployment the pod template of an earlier revision, from the history that
 * Kubernetes keeps in ReplicaSets. The chosen revision is noted before the effect: in a rerun, "the
 * one before" would mean another.
 */
export const rollbackCommand = workloadCommand({
  type: 'rollback',
  payload: RollbackPayload,
  data: RollbackData,
  timeoutMs: (payload) => CONTROLLER_WAIT_MS + rolloutTimeoutMs(payload),
  run: async (payload, context) => {
    const noted = readCheckpoint(RollbackTarget, context);
    const view = await settledView(payload, context);
    const target = noted ?? findTarget(payload, view);
    await context.setCheckpoint(target);
    const { deployment } = view;
    const restored = await restoreRevision(
      context.kubernetes,
      deployment,
      { replicaSetUid: target.replica_set_uid, applied: appliedFields(deployment) },
      context.signal,
    );
    const label = `${payload.namespace}/${payload.name}`;
    // In a rerun it may already match, because an attempt before this one changed it.
    if (noted === undefined && sameContent(restored.spec?.template, deployment.spec?.template)) {
      throw new AgentError('ROLLOUT_FAILED', `${label} is as it was: the change was turned back`, {
        hint: 'Look for what changes Deployments in this cluster as they are written, a webhook say',
      });
    }
    const rollout = await rollOutAndTell(context, payload);
    const now = rollout.revision === 0 ? 'not numbered yet' : `${rollout.revision} now`;
    return {
      output: `${label}: back to revision ${target.revision}, which is ${now}\n${rollout.line}`,
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

async function settledView(
  payload: RollbackPayload,
  { clock, kubernetes, signal, progress }: CommandContext,
): Promise<DeploymentView> {
  const path = applicationPaths(payload).deployment;
  const deps = { clock, client: kubernetes };
  const view = await awaitController(deps, path, CONTROLLER_WAIT_MS, signal);
  if (!isTakenUp(view)) {
    progress(`${payload.namespace}/${payload.name}: its controller lags, the pod template decides`);
  }
  return view;
}

function findTarget(payload: RollbackPayload, view: DeploymentView): RollbackTarget {
  const { history, deployment } = view;
  const label = `${payload.namespace}/${payload.name}`;
  const isLive = (replicaSet: V1ReplicaSet) =>
    sameContent(templateOf(replicaSet), deployment.spec?.template);
  const revisions = history.map(revisionOf);
  const facts = {
    hint: `Kubernetes keeps these revisions of it: ${revisions.join(', ') || 'none'}`,
    details: { revisions },
  };
  const found = history.find((each) =>
    payload.revision === undefined ? !isLive(each) : revisionOf(each) === payload.revision,
  );
  if (found?.metadata?.uid === undefined) {
    const wanted =
      payload.revision === undefined ? 'earlier revision' : `revision ${payload.revision}`;
    throw new AgentError('NOT_FOUND', `${label} has no ${wanted}`, facts);
  }
  if (isLive(found)) {
    const problem = `revision: ${revisionOf(found)} is what ${label} has now`;
    throw new AgentError('COMMAND_INVALID', `Nothing to roll back, ${problem}`, facts);
  }
  return { replica_set_uid: found.metadata.uid, revision: revisionOf(found) };
}
