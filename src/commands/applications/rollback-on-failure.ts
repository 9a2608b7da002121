/** `rollback_on_failure`: the earlier objects, and the way back to them. */
import type { KubernetesObject } from '@kubernetes/client-node';
import { type AgentError, toAgentError } from '../../core/errors.ts';
import { COMMAND_ID_ANNOTATION } from '../../core/labels.ts';
import type { RolloutOutcome } from '../../kubernetes/deployments/rollout.ts';
import { removeAndWait } from '../../kubernetes/objects/removal.ts';
import {
  earlierObject,
  isAsEarlier,
  isUntouched,
  restoreObject,
} from '../../kubernetes/objects/restore.ts';
import type {
  DeployCheckpoint,
  DeployData,
  EarlierObject,
} from '../../protocol/commands/deploy.ts';
import type { DeploymentTarget } from '../../protocol/commands/fields.ts';
import type { CommandContext } from '../engine/handler.ts';
import { applicationPaths, isManaged } from './managed-objects.ts';
import { rollOut } from './roll-out.ts';

type Before = DeployCheckpoint['before'];

/** How long objects are still put back after the command was told to stop: it has 10 s then. */
const AFTER_STOP_MS = 8_000;
/** How long trouble that may pass (an API server that is gone) is waited out. */
const TROUBLE_MS = 60_000;
const TROUBLE_PAUSE_MS = 1_000;
/**
 * Refusals that may pass: too early, in conflict, too many, and those of proxies before the API
 * server.
 */
const PASSING = [408, 409, 425, 429, 500, 502, 503, 504];

type RolledBack = NonNullable<DeployData['rolled_back']>;

export interface WentBack {
  readonly rolledBack: RolledBack;
  readonly revision: number;
}

/** Each object of an application as it is; null for one that is not there. */
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

/**
 * Puts the objects back one after the other; a failure of one does not stop the next. A cancel or
 * the deadline does not stop it either, but then it waits for no rollout. Safe to run again.
 * @throws AgentError when the daemon stops: it continues at the next start
 */
export async function goBack(
  context: CommandContext,
  payload: DeploymentTarget & { readonly wait_seconds: number },
  before: Before,
): Promise<WentBack> {
  const paths = applicationPaths(payload);
  const to = before.deployment === null ? 'nothing' : 'earlier_revision';
  const putBack: string[] = [];
  const notPutBack: RolledBack['not_put_back'] = [];
  const { signal, end } = wayBackSignal(context);
  const endsAt = context.clock.monotonic() + TROUBLE_MS;
  for (const part of ['ingress', 'service', 'deployment'] as const) {
    const object = `${KINDS[part]}/${payload.name}`;
    try {
      const restore = () => restorePart({ ...context, signal }, paths[part], before[part]);
      if (await patiently({ ...context, signal }, endsAt, restore)) {
        putBack.push(object);
      }
    } catch (thrown) {
      const { code, message } = toAgentError(thrown);
      if (context.stopping.aborted) {
        end();
        throw thrown;
      }
      notPutBack.push({ object, code, reason: message });
    }
  }
  end();
  const whole = notPutBack.length === 0;
  const told = { put_back: putBack, not_put_back: notPutBack };
  if (to === 'nothing' || !whole) {
    return { rolledBack: { to, complete: whole, ...told }, revision: 0 };
  }
  const outcome = await rolledOut(context, payload);
  return {
    rolledBack: { to, complete: outcome?.complete ?? false, ...told },
    revision: outcome?.revision ?? 0,
  };
}

const KINDS = { ingress: 'Ingress', service: 'Service', deployment: 'Deployment' } as const;

/** @returns undefined when it is not waited for, or cannot be */
async function rolledOut(
  context: CommandContext,
  payload: DeploymentTarget & { readonly wait_seconds: number },
): Promise<RolloutOutcome | undefined> {
  try {
    return context.signal.aborted
      ? undefined
      : await rollOut(context, payload, payload.wait_seconds);
  } catch (thrown) {
    if (context.stopping.aborted) {
      throw thrown;
    }
    return undefined;
  }
}

/** Aborts when the daemon stops, and a while after the command itself was told to stop. */
function wayBackSignal({ clock, signal, stopping }: CommandContext) {
  const own = new AbortController();
  const over = new AbortController();
  const stop = () => own.abort();
  const late = () => {
    void clock.sleep(AFTER_STOP_MS, over.signal).then((whole) => (whole ? stop() : undefined));
  };
  stopping.addEventListener('abort', stop, { once: true });
  signal.addEventListener('abort', late, { once: true });
  if (stopping.aborted) {
    stop();
  } else if (signal.aborted) {
    late();
  }
  const end = () => {
    over.abort();
    stopping.removeEventListener('abort', stop);
    signal.removeEventListener('abort', late);
  };
  return { signal: own.signal, end };
}

/** Tries again as long as the trouble may pass. */
async function patiently<T>(
  { clock, signal }: Pick<CommandContext, 'clock' | 'signal'>,
  endsAt: number,
  work: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      const isWorthIt = mayPass(toAgentError(thrown)) && clock.monotonic() < endsAt;
      if (!isWorthIt || !(await clock.sleep(TROUBLE_PAUSE_MS, signal))) {
        throw thrown;
      }
    }
  }
}

function mayPass({ code, details }: AgentError): boolean {
  const status = details?.['status'];
  return (
    code === 'TIMEOUT' ||
    (code === 'KUBERNETES_API' && (typeof status !== 'number' || PASSING.includes(status)))
  );
}

/**
 * Leaves an object alone that this command never changed, or that others have changed since.
 * @returns whether something was put back
 */
async function restorePart(
  context: CommandContext,
  path: string,
  earlier: EarlierObject | null,
): Promise<boolean> {
  const { clock, kubernetes, signal, commandId } = context;
  const live = await kubernetes.find<KubernetesObject>(path, signal);
  const isOurs = live?.metadata?.annotations?.[COMMAND_ID_ANNOTATION] === commandId;
  if (earlier !== null) {
    if (live !== undefined && isUntouched(live, earlier)) {
      return false;
    }
    // As it was earlier: an attempt before this one may have ended between its two writes.
    if (live === undefined || isOurs || isAsEarlier(live, earlier)) {
      await restoreObject(kubernetes, path, earlier, signal);
      return true;
    }
  } else if (live?.metadata?.uid !== undefined && isOurs && isManaged(live)) {
    await removeAndWait({ clock, client: kubernetes }, path, live.metadata.uid, signal);
    return true;
  }
  return false;
}
