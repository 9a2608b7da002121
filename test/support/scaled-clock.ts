import type { Clock } from '../../src/core/ports.ts';
import { systemClock } from '../../src/platform/clock.ts';

/** As short as a timer can be. */
const TICK_MS = 1;

interface Sleeper {
  readonly dueMs: number;
  readonly end: (complete: boolean) => void;
}

/**
 * Time that runs faster: what waits half a minute is there in moments, in the right order.
 *
 * It is counted in turns of the event loop, not read from the system: where the machine is busy
 * and this process has to wait, no limit of the code under test passes meanwhile. It stands still
 * while nobody sleeps.
 */
export function scaledClock(factor: number): Clock {
  const startMs = systemClock.now().getTime();
  const sleepers = new Set<Sleeper>();
  let elapsedMs = 0;
  let timer: ReturnType<typeof setInterval> | undefined;

  const tick = (): void => {
    elapsedMs += TICK_MS * factor;
    const due = [...sleepers].filter(({ dueMs }) => dueMs <= elapsedMs);
    for (const { end } of due.sort((left, right) => left.dueMs - right.dueMs)) {
      end(true);
    }
  };
  const sleep = (ms: number, signal: AbortSignal | undefined) => {
    if (signal?.aborted) {
      return Promise.resolve(false);
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const onAbort = () => sleeper.end(false);
    const sleeper: Sleeper = {
      dueMs: elapsedMs + ms,
      end: (complete) => {
        signal?.removeEventListener('abort', onAbort);
        sleepers.delete(sleeper);
        if (sleepers.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
        resolve(complete);
      },
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    sleepers.add(sleeper);
    timer ??= setInterval(tick, TICK_MS);
    return promise;
  };

  return { now: () => new Date(startMs + elapsedMs), monotonic: () => elapsedMs, sleep };
}
