import type { KubernetesObject, V1Status } from '@kubernetes/client-node';
import { backoffMs } from '../../core/backoff.ts';
import { type AgentError, toAgentError } from '../../core/errors.ts';
import { loopBudget } from '../../core/loop-budget.ts';
import type { Clock, Log, Random } from '../../core/ports.ts';
import type { KubernetesClient } from '../api/client.ts';
import { ApiRejection, isRejectedWith } from '../api/rejection.ts';
import { ANSWER_HINT } from '../api/request.ts';

/**
 * The server ends a watch after a time between these two, so that not all agents' watches end at
 * once.
 */
const WATCH_SECONDS_MIN = 240;
const WATCH_SECONDS_MAX = 300;
/**
 * A watch without a byte for this long has lost its peer: bookmarks come about once a minute
 * (kubernetes.io, "Watch bookmarks"), and half-open connections look just like it.
 */
export const WATCH_SILENCE_MS = 90_000;
/** A watch that lived this long was a good one: the next failure is a first failure. */
const WATCH_STABLE_MS = 10_000;
const RETRY = { firstMs: 500, capMs: 30_000 };
const HTTP_GONE = 410;

/** Who wants to know. An error that it throws is a bug and ends the informer. */
export interface InformerSink<T> {
  /** A list begins: an object that no `put` names before `listed` does not exist any more. */
  listing(): void;
  put(object: T): void;
  remove(object: T): void;
  listed(): void;
  /** Kubernetes answers for this kind. */
  reached(): void;
  /** It does not; the informer goes on trying. */
  failed(error: AgentError): void;
}

export interface InformerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly client: KubernetesClient;
}

/** Where a watch goes on; undefined: list first. */
interface Place {
  version: string | undefined;
}

/**
 * Tells the sink of every object below `path`, and of every change, until the signal aborts: lists
 * page by page, then watches from there. A watch that breaks goes on where it was; one whose place
 * has expired (410), or that fell silent, lists again. Trouble is retried for ever.
 */
export async function followKind<T extends KubernetesObject>(
  deps: InformerDeps,
  path: string,
  sink: InformerSink<T>,
  signal: AbortSignal,
): Promise<void> {
  const place: Place = { version: undefined };
  let failures = 0;
  while (!signal.aborted) {
    let watchedAt: number | undefined;
    try {
      if (place.version === undefined) {
        place.version = await list(deps, path, sink, signal);
      }
      watchedAt = deps.clock.monotonic();
      await watch(deps, path, place, sink, signal);
    } catch (thrown) {
      if (signal.aborted) {
        return;
      }
      noteTrouble(deps, path, place, sink, toAgentError(thrown), failures);
    }
    const now = deps.clock.monotonic();
    if (watchedAt !== undefined && now - watchedAt >= WATCH_STABLE_MS) {
      failures = 0;
    } else {
      await deps.clock.sleep(backoffMs(deps, RETRY, failures), signal);
      failures += 1;
    }
  }
}

/** @throws the error itself when it is a bug */
function noteTrouble<T>(
  deps: InformerDeps,
  path: string,
  place: Place,
  sink: InformerSink<T>,
  error: AgentError,
  failures: number,
): void {
  if (error.code === 'INTERNAL') {
    throw error;
  }
  const fields = { path, error_code: error.code, error: error.message };
  if (isRejectedWith(HTTP_GONE, error)) {
    place.version = undefined;
    deps.log.debug('the place in a watch has expired; listing again', fields);
    return;
  }
  sink.failed(error);
  // One line for an outage, not one for each try.
  deps.log[failures === 0 ? 'warn' : 'debug']('cannot follow the objects of the cluster', fields);
}

/** @returns the version that a watch goes on from */
async function list<T extends KubernetesObject>(
  deps: InformerDeps,
  path: string,
  sink: InformerSink<T>,
  signal: AbortSignal,
): Promise<string> {
  const budget = loopBudget(deps);
  const put = (object: T) => {
    sink.put(object);
    return budget.spent() ? budget.rest() : undefined;
  };
  sink.listing();
  let query = {};
  for (;;) {
    const { version, next } = await deps.client.eachOfPage<T>(path, query, put, signal);
    if (next === undefined) {
      sink.listed();
      sink.reached();
      return version;
    }
    query = { continue: next };
  }
}

/** Returns when the server ends the watch, or when it fell silent. */
async function watch<T extends KubernetesObject>(
  deps: InformerDeps,
  path: string,
  place: Place,
  sink: InformerSink<T>,
  signal: AbortSignal,
): Promise<void> {
  const spread = deps.random.fraction() * (WATCH_SECONDS_MAX - WATCH_SECONDS_MIN);
  const query = {
    resourceVersion: place.version ?? '',
    timeoutSeconds: Math.round(WATCH_SECONDS_MIN + spread),
  };
  const over = new AbortController();
  const silence = silenceTimer(deps, over, signal);
  const budget = loopBudget(deps);
  try {
    const either = AbortSignal.any([signal, over.signal]);
    for await (const event of deps.client.watch<T>(path, query, either)) {
      silence.heard();
      apply(path, event, sink);
      sink.reached();
      place.version = event.object.metadata?.resourceVersion ?? place.version;
      if (budget.spent()) {
        await budget.rest();
      }
    }
  } catch (thrown) {
    if (!silence.fellSilent()) {
      throw thrown;
    }
  } finally {
    over.abort();
    await silence.done;
  }
  if (silence.fellSilent()) {
    // The peer may be gone, or have forgotten this watch: only a list tells.
    place.version = undefined;
    deps.log.debug('a watch fell silent; listing again', { path });
  }
}

/** Aborts `over` when nothing was heard for WATCH_SILENCE_MS. */
function silenceTimer(deps: InformerDeps, over: AbortController, signal: AbortSignal) {
  let heardAt = deps.clock.monotonic();
  let silent = false;
  const either = AbortSignal.any([signal, over.signal]);
  const wait = async () => {
    while (!either.aborted) {
      const leftMs = heardAt + WATCH_SILENCE_MS - deps.clock.monotonic();
      if (leftMs <= 0) {
        silent = true;
        over.abort();
        return;
      }
      await deps.clock.sleep(leftMs, either);
    }
  };
  return {
    heard: () => {
      heardAt = deps.clock.monotonic();
    },
    fellSilent: () => silent,
    done: wait(),
  };
}

function apply<T extends KubernetesObject>(
  path: string,
  event: { readonly type: string; readonly object: T },
  sink: InformerSink<T>,
): void {
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
      sink.put(event.object);
      return;
    case 'DELETED':
      sink.remove(event.object);
      return;
    case 'BOOKMARK':
      return;
    default: {
      const status: V1Status = event.object;
      const told = { status: status.code ?? 0, reason: status.reason ?? 'Unknown' };
      const text = `The watch of ${path} ended: ${status.message}`;
      throw new ApiRejection('KUBERNETES_API', text, told, ANSWER_HINT);
    }
  }
}
