import type { Clock } from '../core/ports.ts';
import type { FollowKind } from '../kubernetes/watch/shared-following.ts';

export interface WatchLag {
  readonly follow: FollowKind;
  /** Of each kind that is followed, by its name in paths: seconds since which it is not kept up. */
  lags(): Readonly<Record<string, number>>;
}

/** Tells of each followed kind since when it is not kept up: not listed yet, or out of reach. */
export function watchLag(clock: Clock, follow: FollowKind): WatchLag {
  /** Monotonic ms since which a path is behind; undefined while it is kept up. */
  const behindSince = new Map<string, number | undefined>();
  const followers = new Map<string, number>();
  const count = (path: string, change: number) => {
    const left = (followers.get(path) ?? 0) + change;
    followers.set(path, left);
    if (left === 0) {
      followers.delete(path);
      behindSince.delete(path);
    }
  };
  return {
    lags: () => {
      const lags: Record<string, number> = {};
      for (const [path, since] of behindSince) {
        const kind = path.slice(path.lastIndexOf('/') + 1);
        const seconds = since === undefined ? 0 : (clock.monotonic() - since) / 1_000;
        // The same kind may be followed in several places: the one that is worst counts.
        lags[kind] = Math.max(lags[kind] ?? 0, seconds);
      }
      return lags;
    },
    follow: async (path, sink, signal) => {
      if (!behindSince.has(path)) {
        behindSince.set(path, clock.monotonic());
      }
      count(path, 1);
      const measured: typeof sink = {
        listing: () => sink.listing(),
        put: (object) => sink.put(object),
        remove: (object) => sink.remove(object),
        listed: () => sink.listed(),
        reached: () => {
          behindSince.set(path, undefined);
          sink.reached();
        },
        failed: (error) => {
          behindSince.set(path, behindSince.get(path) ?? clock.monotonic());
          sink.failed(error);
        },
      };
      try {
        await follow(path, measured, signal);
      } finally {
        count(path, -1);
      }
    },
  };
}
