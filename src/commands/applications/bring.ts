/** Bringing an application to a wanted state, and back when that fails. */

import type { KubernetesObject, V1Deployment, V1Service } from '@kubernetes/client-node';
import { AgentError, isErrorCode, toAgentError } from '../../core/errors.ts';
import { hostAndPort } from '../../core/text/host-and-port.ts';
import type { Manifest } from '../../kubernetes/api/client.ts';
import { removeAndWait, waitUntilGone } from '../../kubernetes/objects/removal.ts';
import {
  type DeployCheckpoint,
  DeployCheckpoint as DeployCheckpointSchema,
  type DeployData,
} from '../../protocol/commands/deploy.ts';
import type { DeploymentTarget } from '../../protocol/commands/fields.ts';
import { readCheckpoint } from '../engine/checkpoint.ts';
import type { CommandContext, CommandOutcome } from '../engine/handler.ts';
import { ensureNamespace } from './ensure-namespace.ts';
import { applicationPaths, isManaged } from './managed-objects.ts';
import type { ApplicationPlan } from './plan.ts';
import {
  rollOut,
  rolloutFacts,
  rolloutFailure,
  rolloutLine,
  rolloutTimeoutMs,
} from './roll-out.ts';
import { goBack, lookBefore } from './rollback-on-failure.ts';
import { tryPlan } from './try-plan.ts';

interface RolloutWishes extends DeploymentTarget {
  readonly wait_seconds: number;
  readonly rollback_on_failure: boolean;
}

/** Going back may take as long as going forward. */
export function applicationTimeoutMs(payload: RolloutWishes): number {
  return rolloutTimeoutMs(payload) * (payload.rollback_on_failure ? 2 : 1);
}

/**
 * Applies an application and waits for its rollout. With `rollback_on_failure` the earlier objects
 * are noted before the first effect, and a failure is noted before going back: a rerun after a
 * crash continues where it was.
 */
export async function bringAbout(
  context: CommandContext,
  payload: RolloutWishes,
  plan: () => Promise<ApplicationPlan>,
): Promise<CommandOutcome<DeployData>> {
  const noted = readCheckpoint(DeployCheckpointSchema, context);
  if (noted?.failed !== undefined) {
    return await backAfterFailure(context, payload, noted.before, noted.failed);
  }
  // Objects that are being deleted would take the change with them.
  await gone(context, applicationPaths(payload).deployment);
  const wanted = await plan();
  await tryPlan(context, payload, wanted);
  if (wanted.makesNamespace) {
    await ensureNamespace(context, payload.namespace);
  }
  let before = noted?.before;
  if (payload.rollback_on_failure && before === undefined) {
    before = await lookBefore(context, payload);
    await context.setCheckpoint({ before } satisfies DeployCheckpoint);
  }
  if (before === undefined) {
    return await goForward(context, payload, wanted);
  }
  const forward = await endOfForward(context, payload, wanted, noted !== undefined);
  if (!('failed' in forward)) {
    return forward;
  }
  await context.setCheckpoint({ before, failed: forward.failed } satisfies DeployCheckpoint);
  return await backAfterFailure(context, payload, before, forward.failed);
}

type Failed = NonNullable<DeployCheckpoint['failed']>;

/**
 * Goes forward. Whatever ends it is returned as a failure to go back from, except a stop of the
 * daemon, after which it continues.
 * @param again an earlier attempt may have changed something
 * @throws AgentError when the daemon stops, or nothing was changed
 */
async function endOfForward(
  context: CommandContext,
  payload: RolloutWishes,
  wanted: ApplicationPlan,
  again: boolean,
): Promise<CommandOutcome<DeployData> | { readonly failed: Failed }> {
  let hasChanged = again;
  try {
    const outcome = await goForward(context, payload, wanted, () => {
      hasChanged = true;
    });
    const { replicas_wanted, replicas_ready, reasons = [], revision } = outcome.data;
    return outcome.failure === undefined
      ? outcome
      : { failed: { revision, replicas_wanted, replicas_ready, reasons } };
  } catch (thrown) {
    const { code, message, hint, details } = toAgentError(thrown);
    // Only a refusal shows that the first object was not changed.
    const isRefused = typeof details?.['status'] === 'number' && details['status'] < 500;
    if (context.stopping.aborted || (isRefused && !hasChanged)) {
      throw thrown;
    }
    const error = { code, message, ...(hint === undefined ? {} : { hint }) };
    return {
      failed: { revision: 0, replicas_wanted: 0, replicas_ready: 0, reasons: [], error },
    };
  }
}

/** @param changed told when the first object is changed */
async function goForward(
  context: CommandContext,
  payload: RolloutWishes,
  wanted: ApplicationPlan,
  changed: () => void = () => undefined,
): Promise<CommandOutcome<DeployData>> {
  const address = await applyPlan(context, payload, wanted, changed);
  const outcome = await rollOut(context, payload, payload.wait_seconds);
  const failure = rolloutFailure(payload, outcome, payload.wait_seconds);
  if (failure.failure === undefined) {
    await prune(context, payload, wanted);
  }
  return {
    output: rolloutLine(payload, outcome),
    data: {
      revision: outcome.revision,
      ...rolloutFacts(outcome),
      ...(address === undefined ? {} : { service_address: address }),
    },
    ...failure,
  };
}

/** @returns `<cluster IP>:<port>` of the Service, if there is one */
async function applyPlan(
  context: CommandContext,
  target: DeploymentTarget,
  plan: ApplicationPlan,
  changed: () => void,
): Promise<string | undefined> {
  const { kubernetes, signal } = context;
  const paths = applicationPaths(target);
  await kubernetes.apply<V1Deployment>(paths.deployment, plan.deployment, signal);
  changed();
  const service = await applyPart<V1Service>(context, paths.service, plan.service);
  await applyPart(context, paths.ingress, plan.ingress);
  const port = service?.spec?.ports?.[0]?.port;
  return port === undefined ? undefined : hostAndPort(service?.spec?.clusterIP ?? '', port);
}

/** @returns the object as it is now; undefined where there shall be none */
async function applyPart<T extends KubernetesObject>(
  context: CommandContext,
  path: string,
  wanted: T | Manifest | 'none' | 'keep',
): Promise<T | undefined> {
  const { kubernetes, signal } = context;
  if (typeof wanted !== 'string') {
    await gone(context, path);
    return await kubernetes.apply<T>(path, wanted, signal);
  }
  return wanted === 'keep' ? await kubernetes.find<T>(path, signal) : undefined;
}

/** Waits until an object that is being deleted is gone. */
async function gone({ clock, kubernetes, signal }: CommandContext, path: string): Promise<void> {
  await waitUntilGone({ clock, client: kubernetes }, path, signal);
}

/**
 * Removes the objects that are no longer wanted, once their replacement runs: until then they
 * serve, and a way back finds them unchanged. Objects that lead to the pods go first.
 */
async function prune(
  { clock, kubernetes, signal }: CommandContext,
  target: DeploymentTarget,
  plan: ApplicationPlan,
): Promise<void> {
  const paths = applicationPaths(target);
  for (const part of ['ingress', 'service'] as const) {
    const there = plan[part] === 'none' ? await kubernetes.find(paths[part], signal) : undefined;
    // One of the same name that the agent did not make stays.
    if (there?.metadata?.uid !== undefined && isManaged(there)) {
      const deps = { clock, client: kubernetes };
      await removeAndWait(deps, paths[part], there.metadata.uid, signal);
    }
  }
}

async function backAfterFailure(
  context: CommandContext,
  payload: RolloutWishes,
  before: DeployCheckpoint['before'],
  failed: Failed,
): Promise<CommandOutcome<DeployData>> {
  const label = `${payload.namespace}/${payload.name}`;
  context.progress(`${label}: failed, going back`, { reasons: failed.reasons });
  const { rolledBack, revision: revisionNow } = await goBack(context, payload, before);
  const { revision, replicas_wanted: wanted, replicas_ready: ready, reasons, error } = failed;
  const outcome = { revision, wanted, ready, reasons, complete: false, failed: true };
  return {
    output:
      (error === undefined ? rolloutLine(payload, outcome) : `${label}: ${error.message}\n`) +
      `${label}: ${wordsOf(rolledBack)}\n`,
    data: {
      revision: revisionNow,
      replicas_wanted: wanted,
      replicas_ready: ready,
      reasons,
      rolled_back: rolledBack,
    },
    ...(error === undefined
      ? rolloutFailure(payload, outcome, payload.wait_seconds)
      : { failure: errorOfNote(error) }),
  };
}

function wordsOf({ to, complete, not_put_back: left }: NonNullable<DeployData['rolled_back']>) {
  if (left.length > 0) {
    return `could not be put back: ${left.map(({ object, reason }) => `${object} (${reason})`).join(', ')}`;
  }
  return to === 'nothing'
    ? 'removed again, there was nothing before'
    : `${complete ? 'went' : 'goes'} back to the earlier revision`;
}

/** The error as it was thrown, perhaps by an attempt before a crash or by another version. */
function errorOfNote({ code, message, hint }: NonNullable<Failed['error']>): AgentError {
  return new AgentError(isErrorCode(code) ? code : 'KUBERNETES_API', message, {
    hint: hint ?? 'See how the application is: sudo k3s kubectl get events -A',
  });
}
