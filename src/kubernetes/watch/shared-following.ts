import type { KubernetesObject } from '@kubernetes/client-node';
import { settledOrAborted } from '../../core/waiting.ts';
import { followKind, type InformerDeps, type InformerSink } from './informer.ts';

/** `followKind` without its dependencies. */
export type FollowKind = <T extends KubernetesObject>(
  path: string,
  sink: InformerSink<T>,
  signal: AbortSignal,
) => Promise<void>;

/** All sinks of one path get the same: the objects of one kind. */
type AnySink = InformerSink<KubernetesObject>;

interface Shared {
  readonly sinks: Set<AnySink>;
  /** One list, and the watch after it. */
  round: Promise<void>;
  /** Ends the round, for another one where somebody is left. */
  again: AbortController;
  done: Promise<void>;
}

/**
 * `followKind` with one list and one watch of each path, however many sinks there are. A sink that
 * comes later starts with a list like the first one, and the others are told of that list too.
 */
export function sharedFollowing(deps: InformerDeps): FollowKind {
  const byPath = new Map<string, Shared>();
  const follow = async (path: string, shared: Shared) => {
    try {
      while (shared.sinks.size > 0) {
        shared.again = new AbortController();
        shared.round = followKind(deps, path, toAll(shared), shared.again.signal);
        await shared.round;
      }
    } finally {
      byPath.delete(path);
    }
  };
  return async (path, sink, signal) => {
    if (signal.aborted) {
      return;
    }
    const shared = byPath.get(path) ?? unused();
    // A sink is only ever given objects of the path that it asked for.
    shared.sinks.add(sink as AnySink);
    if (byPath.has(path)) {
      shared.again.abort();
    } else {
      byPath.set(path, shared);
      shared.done = follow(path, shared);
    }
    await settledOrAborted(shared.done, signal);
    shared.sinks.delete(sink as AnySink);
    if (shared.sinks.size === 0) {
      shared.again.abort();
      await shared.round;
    }
  };
}

function unused(): Shared {
  const over = Promise.resolve();
  return { sinks: new Set(), round: over, again: new AbortController(), done: over };
}

/**
 * The sinks that are there now, as long as they stay: a sink that comes later gets another list.
 */
function toAll({ sinks }: Shared): AnySink {
  const present = [...sinks];
  const each = (tell: (sink: AnySink) => void) => {
    for (const sink of present) {
      if (sinks.has(sink)) {
        tell(sink);
      }
    }
  };
  return {
    listing: () => each((sink) => sink.listing()),
    put: (object) => each((sink) => sink.put(object)),
    remove: (object) => each((sink) => sink.remove(object)),
    listed: () => each((sink) => sink.listed()),
    reached: () => each((sink) => sink.reached()),
    failed: (error) => each((sink) => sink.failed(error)),
  };
}
