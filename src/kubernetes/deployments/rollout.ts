import type { V1Deployment } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfKind, pathOfObject } from '../../core/kinds.ts';
import type { Clock } from '../../core/ports.ts';
import { timeLimit } from '../../core/waiting.ts';
import type { KubernetesClient } from '../api/client.ts';
import type { FailureReason } from '../pods/reasons.ts';
import { failureReasons, lastLogLines, reasonText } from './failure-reasons.ts';
import { givenUpAt, type RolloutState, rolloutState } from './rollout-state.ts';
import { awaitController, type DeploymentView, viewDeployment } from './view.ts';

/** A watch that says nothing for this long is opened again: half-open connections look like it. */
const WATCH_SILENCE_MS = 60_000;
/** Wait before a broken watch is opened again. */
const REWATCH_DELAY_MS = 1_000;
/** How often pods and events are asked why it is not complete yet. */
const DIAGNOSE_INTERVAL_MS = 2_000;
/** A reason that does not go away by waiting ends the wait once it has held this long. */
export const FINAL_REASON_MS = 10_000;
/**
 * How long a caller that does not wait for pods waits for the controller, which numbers the
 * revision.
 */
const CONTROLLER_PATIENCE_MS = 5_000;

export interface RolloutTarget {
  readonly namespace: string;
  readonly name: string;
}

export interface RolloutOutcome extends RolloutState {
  /** `<kind>: <text>`: why it is not complete; empty when it is. */
  readonly reasons: readonly string[];
}

interface RolloutDeps {
  readonly clock: Clock;
  readonly client: KubernetesClient;
}

export interface RolloutOptions {
  /** 0 waits for no pod, just for the controller, within reason. */
  readonly waitMs: number;
  /** Called with the first state, and when more or fewer replicas are ready. */
  readonly onReady: (state: RolloutState) => void;
  /** Called with what hinders it, unless that was said before. */
  readonly onReason: (reason: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Follows a Deployment until it is rolled out, Kubernetes gives it up, waiting is of no use (a
 * reason that is final held for `FINAL_REASON_MS` and nothing moved), or the time is over.
 * Does not throw for a rollout that fails: the outcome says so.
 * @throws AgentError NOT_FOUND when there is none; INTERRUPTED by the signal
 */
export async function followRollout(
  deps: RolloutDeps,
  target: RolloutTarget,
  options: RolloutOptions,
): Promise<RolloutOutcome> {
  const { signal } = options;
  const endsAt = deps.clock.monotonic() + options.waitMs;
  const over = new AbortController();
  const hopeless = new AbortController();
  const path = deploymentPath(target);
  const patienceMs = options.waitMs === 0 ? CONTROLLER_PATIENCE_MS : 0;
  let view = await awaitController(deps, path, patienceMs, signal);
  const givenUpBefore = givenUpAt(view.deployment);
  const stateNow = () => rolloutState(view, givenUpBefore);
  const note = async (deployment: V1Deployment): Promise<boolean> => {
    const before = stateNow();
    view = await viewDeployment(deps.client, deployment, signal);
    const state = stateNow();
    if (state.ready !== before.ready) {
      options.onReady(state);
    }
    return state.complete || state.failed;
  };
  const latest = () => view;
  const diagnosis = diagnose(deps, latest, options, AbortSignal.any([signal, over.signal])).then(
    (useless) => useless && hopeless.abort(),
  );
  // A bug in it ends the wait; `await diagnosis` below tells.
  diagnosis.catch(() => hopeless.abort());
  try {
    options.onReady(stateNow());
    let done = stateNow().complete;
    while (!done && !hopeless.signal.aborted && deps.clock.monotonic() < endsAt) {
      const leftMs = Math.min(endsAt - deps.clock.monotonic(), WATCH_SILENCE_MS);
      const stop = AbortSignal.any([over.signal, hopeless.signal]);
      done = await watchOnce(deps, target, leftMs, note, { signal, stop });
    }
  } finally {
    over.abort();
    await diagnosis;
  }
  const state = stateNow();
  return { ...state, reasons: state.complete ? [] : await explain(deps, view, signal) };
}

export function deploymentPath(target: RolloutTarget): string {
  return pathOfObject(KINDS.deployment, target);
}

/**
 * Asks again and again what hinders the rollout, until the signal.
 * @returns true when waiting on is of no use
 */
async function diagnose(
  deps: RolloutDeps,
  latest: () => DeploymentView,
  options: RolloutOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const told = new Set<string>();
  let hopelessSince: number | undefined;
  let statusThen = '';
  while (options.waitMs > 0 && (await deps.clock.sleep(DIAGNOSE_INTERVAL_MS, signal))) {
    const reasons = await reasonsNow(deps, latest(), signal);
    for (const reason of reasons.map(reasonText)) {
      if (!told.has(reason)) {
        told.add(reason);
        options.onReason(reason);
      }
    }
    const { replicas, updatedReplicas, readyReplicas } = latest().deployment.status ?? {};
    const status = JSON.stringify([replicas, updatedReplicas, readyReplicas]);
    const moved = status !== statusThen;
    statusThen = status;
    if (moved || !reasons.some((reason) => reason.final)) {
      hopelessSince = undefined;
    } else {
      hopelessSince ??= deps.clock.monotonic();
      if (deps.clock.monotonic() - hopelessSince >= FINAL_REASON_MS) {
        return true;
      }
    }
  }
  return false;
}

/**
 * Why it is not complete. Empty when the API does not answer now: it is asked again, and at the end
 * (`explain`) its failure is thrown.
 */
async function reasonsNow(
  deps: RolloutDeps,
  view: DeploymentView,
  signal: AbortSignal,
): Promise<readonly FailureReason[]> {
  try {
    return await failureReasons(deps.client, view, signal);
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      return [];
    }
    throw thrown;
  }
}

async function explain(
  deps: RolloutDeps,
  view: DeploymentView,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const reasons = await failureReasons(deps.client, view, signal);
  const texts = reasons.map(reasonText);
  const crashed = reasons.find(({ container }) => container !== undefined)?.container;
  const lines =
    crashed === undefined ? undefined : await lastLogLines(deps.client, view, crashed, signal);
  return lines === undefined || lines === ''
    ? texts
    : [...texts, `log: container "${crashed}" wrote last:\n${lines}`];
}

/**
 * Lists and then watches the Deployment from the listed version on, so that no change falls between
 * the two. Returns when `note` says that it is over (true), when the time is over, at `stop`, or
 * when the watch breaks.
 */
async function watchOnce(
  deps: RolloutDeps,
  target: RolloutTarget,
  timeoutMs: number,
  note: (deployment: V1Deployment) => Promise<boolean>,
  { signal, stop }: { readonly signal: AbortSignal; readonly stop: AbortSignal },
): Promise<boolean> {
  const path = pathOfKind(KINDS.deployment, target.namespace);
  const fieldSelector = `metadata.name=${target.name}`;
  const limit = timeLimit(deps.clock, timeoutMs, AbortSignal.any([signal, stop]));
  const either = limit.signal;
  try {
    const page = await deps.client.page<V1Deployment>(path, { fieldSelector }, either);
    const listed = page.items[0];
    if (listed === undefined) {
      throw new AgentError('NOT_FOUND', `"${target.name}" was deleted while it was rolled out`, {
        hint: `Find out who deleted it: kubectl -n ${target.namespace} get events`,
      });
    }
    if (await note(listed)) {
      return true;
    }
    const resourceVersion = page.metadata?.resourceVersion ?? '';
    const query = { fieldSelector, resourceVersion };
    for await (const event of deps.client.watch<V1Deployment>(path, query, either)) {
      if (event.type === 'ERROR' || event.type === 'DELETED') {
        return false;
      }
      // A bookmark carries no Deployment.
      if (event.type !== 'BOOKMARK' && (await note(event.object))) {
        return true;
      }
    }
  } catch (thrown) {
    if (either.aborted && !signal.aborted) {
      return false; // The time is over: our own abort.
    }
    if (signal.aborted || !(thrown instanceof AgentError) || thrown.code === 'NOT_FOUND') {
      throw thrown;
    }
    // A broken watch is expected; the next list tells the truth.
    await deps.clock.sleep(Math.min(REWATCH_DELAY_MS, timeoutMs), either);
  } finally {
    limit.end();
  }
  return false;
}
