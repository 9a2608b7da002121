import type { Clock } from '../../src/core/ports.ts';

/** Sleeps are ended together that end within this: what many agents do needs no finer time. */
const TICK_MS = 10;
const START_MS = Date.parse('2026-01-01T00:00:00.000Z');

/** A clock for thousands of sleepers that runs as fast as what it wakes lets it. */
export interface VirtualClock extends Clock {
  /** Lets this much time pass, and everything happen that is due in it. */
  run(ms: number): Promise<void>;
}

type Sleeper = (complete: boolean) => void;

export function virtualClock(): VirtualClock {
  /** By the number of the tick that ends them. */
  const ticks = new Map<number, Set<Sleeper>>();
  let now = 0;

  const sleep = (ms: number, signal: AbortSignal | undefined) => {
    const tick = Math.ceil((now + ms) / TICK_MS);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const sleepers = ticks.get(tick) ?? new Set<Sleeper>();
    ticks.set(tick, sleepers);
    const end = (complete: boolean) => {
      sleepers.delete(end);
      signal?.removeEventListener('abort', onAbort);
      resolve(complete);
    };
    const onAbort = () => end(false);
    signal?.addEventListener('abort', onAbort, { once: true });
    sleepers.add(end);
    return promise;
  };

  return {
    now: () => new Date(START_MS + now),
    monotonic: () => now,
    sleep: (ms, signal) => {
      if (signal?.aborted) {
        return Promise.resolve(false);
      }
      return ms <= 0 ? Promise.resolve(true) : sleep(ms, signal);
    },
    run: async (ms) => {
      const end = now + ms;
      await settle();
      while (now < end) {
        now += TICK_MS;
        const tick = now / TICK_MS;
        const due = ticks.get(tick);
        ticks.delete(tick);
        for (const wake of due ?? []) {
          wake(true);
        }
        await settle();
      }
    },
  };
}

/** Lets everything run that waits for no time. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
