/** `rollback_on_failure`: what was there before, and the way back to it. */
import type { KubernetesObject } from '@kubernetes/client-node';
import { COMMAND_ID_ANNOTATION } from '../../core/labels.ts';
import { removeAndWait } from '../../kubernetes/objects/removal.ts';
import { earlierObject, isAsEarlier, restoreObject } from '../../kubernetes/objects/restore.ts';
import type { DeployCheckpoint, EarlierObject } from '../../protocol/commands/deploy.ts';
import type { DeploymentTarget } from '../../protocol/commands/fields.ts';
import type { CommandContext } from '../engine/handler.ts';
import { applicationPaths, isManaged } from './managed-objects.ts';
import { rollOut } from './roll-out.ts';

type Before = DeployCheckpoint['before'];

export interface WentBack {
  readonly to: 'earlier_revision' | 'nothing';
  /** All replicas of what was there before are ready again, or everything new is gone. */
  readonly complete: boolean;
  readonly revision: number;
}

/** Each object of an application as it is; null for what is not there. */
export async function lookBefore(
  { kubernetes, signal }: CommandContext,
  target: DeploymentTarget,
): Promise<Before> {
  const paths = applicationPaths(target);
  const look = async (path: string) => {
    const object = await kubernetes.find(path, signal);
    return object === undefined ? null : earlierObject(object);
  };
  return {
    deployment: await look(paths.deployment),
    service: await look(paths.service),
    ingress: await look(paths.ingress),
  };
}

/** Safe to run again. */
export async function goBack(
  context: CommandContext,
  payload: DeploymentTarget & { readonly wait_seconds: number },
  before: Before,
): Promise<WentBack> {
  const paths = applicationPaths(payload);
  await restorePart(context, paths.ingress, before.ingress);
  await restorePart(context, paths.service, before.service);
  await restorePart(context, paths.deployment, before.deployment);
  if (before.deployment === null) {
    return { to: 'nothing', complete: true, revision: 0 };
  }
  const outcome = await rollOut(context, payload, payload.wait_seconds);
  return { to: 'earlier_revision', complete: outcome.complete, revision: outcome.revision };
}

/** What this command has not changed is left to whoever has changed it since. */
async function restorePart(
  context: CommandContext,
  path: string,
  earlier: EarlierObject | null,
): Promise<void> {
  const { clock, kubernetes, signal, commandId } = context;
  const live = await kubernetes.find<KubernetesObject>(path, signal);
  const isOurs = live?.metadata?.annotations?.[COMMAND_ID_ANNOTATION] === commandId;
  if (earlier !== null) {
    // As earlier: an attempt before this one may have ended between its two writes.
    if (live === undefined || isOurs || isAsEarlier(live, earlier)) {
      await restoreObject(kubernetes, path, earlier, signal);
    }
  } else if (live?.metadata?.uid !== undefined && isOurs && isManaged(live)) {
    await removeAndWait({ clock, client: kubernetes }, path, live.metadata.uid, signal);
  }
}
