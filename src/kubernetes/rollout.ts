import type { V1Deployment, V1Pod } from '@kubernetes/client-node';
import { AgentError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import type { KubernetesClient } from './client.ts';
import { continueToken, isConditionTrue } from './cluster-status.ts';

/** A watch that says nothing for this long is opened again: half-open connections look like it. */
const WATCH_SILENCE_MS = 60_000;
/** Wait before a broken watch is opened again. */
const REWATCH_DELAY_MS = 1_000;
/** Reasons given for one failure, at most. */
const REASONS_MAX = 10;

export interface RolloutState {
  readonly revision: number;
  readonly wanted: number;
  readonly ready: number;
  readonly complete: boolean;
  /** Kubernetes itself has given up (ProgressDeadlineExceeded). */
  readonly failed: boolean;
}

export interface RolloutOutcome extends RolloutState {
  /** Why it is not complete, read from pods; empty when it is. */
  readonly reasons: readonly string[];
}

interface RolloutDeps {
  readonly clock: Clock;
  readonly client: KubernetesClient;
}

/**
 * Follows a Deployment until it is rolled out, Kubernetes gives it up, or the time is over.
 * Does not throw for a rollout that fails: the outcome says so.
 * @param waitMs 0 looks once
 */
export async function followRollout(
  deps: RolloutDeps,
  target: { readonly namespace: string; readonly name: string },
  waitMs: number,
  onProgress: (state: RolloutState) => void,
  signal: AbortSignal,
): Promise<RolloutOutcome> {
  const path = `/apis/apps/v1/namespaces/${target.namespace}/deployments/${target.name}`;
  const endsAt = deps.clock.monotonic() + waitMs;
  let state = rolloutState(await deps.client.get<V1Deployment>(path, signal));
  const note = (deployment: V1Deployment): boolean => {
    const current = rolloutState(deployment);
    if (current.ready !== state.ready) {
      onProgress(current);
    }
    state = current;
    return isOver(state);
  };
  while (!isOver(state) && deps.clock.monotonic() < endsAt) {
    const leftMs = Math.min(endsAt - deps.clock.monotonic(), WATCH_SILENCE_MS);
    await watchOnce(deps, target, leftMs, note, signal);
  }
  const reasons = state.complete ? [] : await failureReasons(deps, target, signal);
  return { ...state, reasons };
}

function isOver(state: RolloutState): boolean {
  return state.complete || state.failed;
}

/** What a Deployment says of itself (kubernetes.io, "Deployment status"). */
export function rolloutState(deployment: V1Deployment): RolloutState {
  const wanted = deployment.spec?.replicas ?? 1;
  const status = deployment.status;
  const observed = (status?.observedGeneration ?? 0) >= (deployment.metadata?.generation ?? 0);
  const ready = status?.readyReplicas ?? 0;
  return {
    revision: Number(deployment.metadata?.annotations?.['deployment.kubernetes.io/revision'] ?? 0),
    wanted,
    ready,
    complete:
      observed &&
      (status?.updatedReplicas ?? 0) >= wanted &&
      (status?.replicas ?? 0) === wanted &&
      (status?.availableReplicas ?? 0) >= wanted,
    failed:
      observed &&
      (status?.conditions?.some((each) => each.reason === 'ProgressDeadlineExceeded') ?? false),
  };
}

/**
 * Lists and then watches the Deployment from the listed version on, so that no change falls between
 * the two. Returns when `note` says that it is over, at the time, or when the watch breaks.
 */
async function watchOnce(
  deps: RolloutDeps,
  target: { readonly namespace: string; readonly name: string },
  timeoutMs: number,
  note: (deployment: V1Deployment) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${target.namespace}/deployments`;
  const fieldSelector = `metadata.name=${target.name}`;
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  const timer = deps.clock.sleep(timeoutMs, either).then(() => done.abort());
  try {
    const page = await deps.client.page<V1Deployment>(path, { fieldSelector }, either);
    const listed = page.items[0];
    if (listed === undefined) {
      throw new AgentError('NOT_FOUND', `"${target.name}" was deleted while it was rolled out`);
    }
    if (note(listed)) {
      return;
    }
    const resourceVersion = page.metadata?.resourceVersion ?? '';
    const query = { fieldSelector, resourceVersion };
    for await (const event of deps.client.watch<V1Deployment>(path, query, either)) {
      if (event.type === 'ERROR' || event.type === 'DELETED') {
        return;
      }
      // A bookmark carries no Deployment.
      if (event.type !== 'BOOKMARK' && note(event.object)) {
        return;
      }
    }
  } catch (thrown) {
    if (done.signal.aborted && !signal.aborted) {
      return; // The time is over: our own abort.
    }
    if (signal.aborted || !(thrown instanceof AgentError) || thrown.code === 'NOT_FOUND') {
      throw thrown;
    }
    // A broken watch is expected; the next list tells the truth.
    await deps.clock.sleep(Math.min(REWATCH_DELAY_MS, timeoutMs), either);
  } finally {
    done.abort();
    await timer;
  }
}

/** Why the pods of a Deployment are not ready, each reason once. */
async function failureReasons(
  deps: RolloutDeps,
  target: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const page = await deps.client.page<V1Pod>(
    `/api/v1/namespaces/${target.namespace}/pods`,
    { labelSelector: `app=${target.name}` },
    signal,
  );
  const reasons = new Set(page.items.flatMap(podReasons));
  if (continueToken(page.metadata) !== undefined) {
    reasons.add('there are more pods than were looked at');
  }
  return [...reasons].slice(0, REASONS_MAX);
}

function podReasons(pod: V1Pod): readonly string[] {
  if (isConditionTrue(pod.status?.conditions, 'Ready')) {
    return [];
  }
  const unscheduled = pod.status?.conditions?.find(
    (each) => each.type === 'PodScheduled' && each.status === 'False',
  );
  if (unscheduled !== undefined) {
    return [`not scheduled: ${unscheduled.message ?? unscheduled.reason ?? 'unknown reason'}`];
  }
  const containers = [
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.containerStatuses ?? []),
  ];
  return containers.flatMap((container) => {
    const waiting = container.state?.waiting;
    const ended = container.state?.terminated ?? container.lastState?.terminated;
    if (waiting?.reason !== undefined && waiting.reason !== 'ContainerCreating') {
      const exit = ended === undefined ? '' : `, last exit code ${ended.exitCode}`;
      const message = waiting.message === undefined ? '' : `: ${waiting.message}`;
      return [`container "${container.name}" ${waiting.reason}${exit}${message}`];
    }
    return ended === undefined
      ? []
      : [`container "${container.name}" ended with exit code ${ended.exitCode}`];
  });
}
