import type { Clock } from '../../src/core/ports.ts';

/** A clock that stands still until it is moved: for what waits, backs off or expires. */
export interface ManualClock extends Clock {
  /** Moves both clocks on and ends the sleeps that are due, the earliest first. */
  advance(ms: number): void;
  /** What is left of each sleep that still waits, milliseconds, shortest first. */
  remainingMs(): readonly number[];
  /** Resolves when at least `count` sleeps wait. The time limit of the test bounds the wait. */
  whenSleeping(count: number): Promise<void>;
}

interface Sleeper {
  readonly dueMs: number;
  readonly end: (complete: boolean) => void;
}

/** @param start what the wall clock says at first; the monotonic one begins at 0 */
export function manualClock(start = '2026-01-01T00:00:00.000Z'): ManualClock {
  const startMs = new Date(start).getTime();
  const sleepers = new Set<Sleeper>();
  const watchers = new Set<() => void>();
  let elapsedMs = 0;

  const sleep = (ms: number, signal: AbortSignal | undefined) => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const onAbort = () => sleeper.end(false);
    const sleeper: Sleeper = {
      dueMs: elapsedMs + ms,
      end: (complete) => {
        sleepers.delete(sleeper);
        signal?.removeEventListener('abort', onAbort);
        resolve(complete);
      },
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    sleepers.add(sleeper);
    for (const look of [...watchers]) {
      look();
    }
    return promise;
  };

  return {
    now: () => new Date(startMs + elapsedMs),
    monotonic: () => elapsedMs,
    sleep: (ms, signal) => {
      if (signal?.aborted) {
        return Promise.resolve(false);
      }
      return ms <= 0 ? Promise.resolve(true) : sleep(ms, signal);
    },
    advance: (ms) => {
      elapsedMs += ms;
      for (const sleeper of [...sleepers].sort((a, b) => a.dueMs - b.dueMs)) {
        if (sleeper.dueMs <= elapsedMs) {
          sleeper.end(true);
        }
      }
    },
    remainingMs: () =>
      [...sleepers].map((sleeper) => sleeper.dueMs - elapsedMs).sort((a, b) => a - b),
    whenSleeping: (count) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = () => {
        if (sleepers.size >= count) {
          watchers.delete(look);
          resolve();
        }
      };
      watchers.add(look);
      look();
      return promise;
    },
  };
}
