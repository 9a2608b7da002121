import type { KubernetesObject } from '@kubernetes/client-node';
import { type AgentError, expectedError } from '../core/errors.ts';
import { followKind, type InformerDeps, type InformerSink } from '../kubernetes/watch/informer.ts';

/** A kind that the cluster does not serve is looked for again after this. */
export const ABSENT_PAUSE_MS = 5 * 60_000;

/**
 * `followKind` for a kind that the cluster may not have. Until the cluster serves it, its list is
 * empty; an outage of the API does not count as that.
 */
export async function followOptionalKind<T extends KubernetesObject>(
  deps: InformerDeps,
  path: string,
  sink: InformerSink<T>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const gone = new AbortController();
    const guarded = {
      listing: () => sink.listing(),
      put: (object: T) => sink.put(object),
      remove: (object: T) => sink.remove(object),
      listed: () => sink.listed(),
      reached: () => sink.reached(),
      failed: (error: AgentError) => {
        sink.failed(error);
        if (error.code === 'NOT_FOUND') {
          gone.abort();
        }
      },
    };
    if (await isServed(deps, path, signal)) {
      await followKind(deps, path, guarded, AbortSignal.any([signal, gone.signal]));
    } else {
      gone.abort();
    }
    if (gone.signal.aborted && !signal.aborted) {
      sink.listing();
      sink.listed();
      sink.reached();
      await deps.clock.sleep(ABSENT_PAUSE_MS, signal);
    }
  }
}

/**
 * Whether the kind is served. Any trouble other than "no such kind" is left to the informer, which
 * waits and retries.
 */
async function isServed(deps: InformerDeps, path: string, signal: AbortSignal): Promise<boolean> {
  try {
    await deps.client.page(path, { limit: 1 }, signal);
    return true;
  } catch (thrown) {
    const error = expectedError(thrown);
    return error.code !== 'NOT_FOUND';
  }
}
