import type { V1Eviction, V1ObjectMeta, V1Pod } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfKind, pathOfObject, typeOf } from '../../core/kinds.ts';
import type { Clock } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import { type KubernetesClient, LIST_PAGE_OBJECTS } from '../api/client.ts';
import { readListPage } from '../api/list-page.ts';
import { ApiRejection } from '../api/rejection.ts';
import { planFor } from './drain-plan.ts';

/** Between two looks at what is left; a node has some hundred pods at most. */
const ROUND_INTERVAL_MS = 1_000;
/** Between two attempts to evict a pod that was refused: grows by half up to the maximum. */
const RETRY_FIRST_MS = 2_000;
const RETRY_MAX_MS = 15_000;
const PODS = pathOfKind(KINDS.pod);
const ENDING = 'it is still ending';
/** Longest reason that is kept, characters. */
const REASON_LENGTH_MAX = 500;

/** What a later attempt must know. */
export interface DrainProgress {
  /** `<namespace>/<pod>` of what was evicted and is gone. */
  readonly evicted: readonly string[];
  /** Asked to go, or about to be. */
  readonly evicting: readonly { readonly uid: string; readonly pod: string }[];
}

export interface DrainState extends DrainProgress {
  /** What should go and is still there. */
  readonly refused: readonly PodReason[];
  readonly skipped: readonly PodReason[];
}

export interface PodReason {
  readonly pod: string;
  readonly reason: string;
}

export interface DrainOptions {
  readonly node: string;
  /** Undefined: what each pod says. */
  readonly graceSeconds: number | undefined;
  readonly timeoutMs: number;
  /** How far an earlier attempt came. */
  readonly before: DrainProgress;
}

interface DrainDeps {
  readonly clock: Clock;
  readonly client: KubernetesClient;
}

/** An eviction under way, by the UID of its pod. */
interface Eviction {
  readonly name: string;
  /** Kubernetes has taken it: the pod ends. */
  accepted: boolean;
  reason: string;
  retryAtMs: number;
  retryMs: number;
}

/**
 * Evicts what a drain moves away from a cordoned node and waits until it is gone, everything else
 * has been refused for good, the time is over or the signal aborts. Eviction keeps to disruption
 * budgets: an eviction that one refuses is tried again until the time is over. An API that cannot
 * be reached for a while is waited for.
 * @param onRound after every look that found something new; awaited before the evictions that
 *   follow
 */
export async function drainNode(
  deps: DrainDeps,
  options: DrainOptions,
  onRound: (state: DrainState) => Promise<void>,
  signal: AbortSignal,
): Promise<DrainState> {
  const { before } = options;
  const evictions = new Map<string, Eviction>();
  const evicted = new Set(before.evicted);
  let resumed = before.evicting;
  let state: DrainState = { ...before, refused: [], skipped: [] };
  let told = '';
  const pace = { everyMs: ROUND_INTERVAL_MS, limitMs: options.timeoutMs };
  const end = await pollUntil(deps.clock, pace, signal, async () => {
    const pods = await podsOn(deps.client, options.node, signal);
    if (pods !== undefined) {
      noteGone(evictions, evicted, pods, resumed);
      resumed = [];
      plan(evictions, pods);
      state = stateOf(evictions, evicted, pods);
      const summary = JSON.stringify(state);
      if (summary !== told && !signal.aborted) {
        told = summary;
        await onRound(state);
      }
      if (evictions.size === 0) {
        return { found: state };
      }
      await evictDue(deps, options, evictions, pods, signal);
      state = stateOf(evictions, evicted, pods);
    }
    return { soFar: state };
  });
  return end.kind === 'found' ? end.found : end.soFar;
}

/** @returns undefined when the API could not say it now */
async function podsOn(
  client: KubernetesClient,
  node: string,
  signal: AbortSignal,
): Promise<readonly V1Pod[] | undefined> {
  const pods: V1Pod[] = [];
  // Keeps only what a drain looks at: the rest of a pod is much, and is asked for every second.
  const keep = ({ metadata = {}, status }: V1Pod) => void pods.push(slim(metadata, status?.phase));
  try {
    let next: string | undefined = '';
    while (next !== undefined) {
      const query = {
        fieldSelector: `spec.nodeName=${node}`,
        limit: LIST_PAGE_OBJECTS,
        ...(next === '' ? {} : { continue: next }),
      };
      const body = client.bytes(PODS, query, signal);
      next = (await readListPage<V1Pod>(PODS, body, keep)).next;
    }
    return pods;
  } catch (thrown) {
    if (signal.aborted || isPassing(thrown)) {
      return undefined;
    }
    throw thrown;
  }
}

function slim(metadata: V1ObjectMeta, phase: string | undefined): V1Pod {
  const { managedFields: _, ...kept } = metadata;
  return { metadata: kept, ...(phase === undefined ? {} : { status: { phase } }) };
}

/** No answer, a list that changed meanwhile, too many requests, trouble of the server: try again. */
function isPassing(thrown: unknown): boolean {
  if (thrown instanceof ApiRejection && thrown.code === 'KUBERNETES_API') {
    const { status } = thrown;
    return status === 410 || status === 429 || status >= 500;
  }
  return (
    thrown instanceof AgentError && (thrown.code === 'TIMEOUT' || thrown.code === 'KUBERNETES_API')
  );
}

function noteGone(
  evictions: Map<string, Eviction>,
  evicted: Set<string>,
  pods: readonly V1Pod[],
  resumed: DrainProgress['evicting'],
): void {
  const there = new Set(pods.map(uidOf));
  for (const { uid, pod } of resumed) {
    if (!there.has(uid)) {
      evicted.add(pod);
    }
  }
  for (const [uid, { name, accepted }] of evictions) {
    if (!there.has(uid)) {
      evictions.delete(uid);
      if (accepted) {
        evicted.add(name);
      }
    }
  }
}

function plan(evictions: Map<string, Eviction>, pods: readonly V1Pod[]): void {
  for (const pod of pods) {
    if (planFor(pod).action === 'evict' && !evictions.has(uidOf(pod))) {
      evictions.set(uidOf(pod), newEviction(pod));
    }
  }
}

async function evictDue(
  deps: DrainDeps,
  options: DrainOptions,
  evictions: ReadonlyMap<string, Eviction>,
  pods: readonly V1Pod[],
  signal: AbortSignal,
): Promise<void> {
  for (const pod of pods) {
    const eviction = evictions.get(uidOf(pod));
    const isDue = eviction?.accepted === false && eviction.retryAtMs <= deps.clock.monotonic();
    if (eviction !== undefined && isDue && !signal.aborted) {
      await evict(deps, options, pod, eviction, signal);
    }
  }
}

function newEviction(pod: V1Pod): Eviction {
  return {
    name: nameOf(pod),
    accepted: pod.metadata?.deletionTimestamp !== undefined,
    reason: ENDING,
    retryAtMs: 0,
    retryMs: RETRY_FIRST_MS,
  };
}

async function evict(
  deps: DrainDeps,
  options: DrainOptions,
  pod: V1Pod,
  eviction: Eviction,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name = '' } = pod.metadata ?? {};
  const path = `${pathOfObject(KINDS.pod, { namespace, name })}/eviction`;
  try {
    await deps.client.create(path, evictionOf(pod, options.graceSeconds), signal);
    eviction.accepted = true;
    eviction.reason = ENDING;
  } catch (thrown) {
    if (signal.aborted) {
      return;
    }
    if (!(thrown instanceof AgentError)) {
      throw thrown;
    }
    // Gone, or another pod has its name: the next look shows it.
    if (thrown.code !== 'NOT_FOUND') {
      eviction.reason = rejectionOf(thrown);
    }
    eviction.retryAtMs = deps.clock.monotonic() + eviction.retryMs;
    eviction.retryMs = Math.min(eviction.retryMs * 1.5, RETRY_MAX_MS);
  }
}

function evictionOf(pod: V1Pod, graceSeconds: number | undefined): V1Eviction {
  const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
  return {
    ...typeOf(KINDS.eviction),
    metadata: { name, namespace },
    deleteOptions: {
      preconditions: { uid },
      ...(graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }),
    },
  };
}

/** For a disruption budget, Kubernetes gives its name and its numbers in the causes. */
function rejectionOf(error: AgentError): string {
  const causes = error instanceof ApiRejection ? error.causes : [];
  const text = causes.length > 0 ? causes.join('; ') : error.message;
  return text.slice(0, REASON_LENGTH_MAX);
}

function stateOf(
  evictions: ReadonlyMap<string, Eviction>,
  evicted: ReadonlySet<string>,
  pods: readonly V1Pod[],
): DrainState {
  const staying = (action: 'skip' | 'refuse') =>
    pods.flatMap((pod) => {
      const planned = planFor(pod);
      return planned.action === action ? [{ pod: nameOf(pod), reason: planned.reason }] : [];
    });
  const waiting = [...evictions.values()].map(({ name, reason }) => ({ pod: name, reason }));
  return {
    evicted: [...evicted],
    evicting: [...evictions].map(([uid, { name }]) => ({ uid, pod: name })),
    refused: [...waiting, ...staying('refuse')],
    skipped: staying('skip'),
  };
}

function uidOf(pod: V1Pod): string {
  return pod.metadata?.uid ?? nameOf(pod);
}

function nameOf(pod: V1Pod): string {
  return `${pod.metadata?.namespace}/${pod.metadata?.name}`;
}
