import type { Clock } from '../core/ports.ts';

/** The longest delay a timer takes (2^31 - 1 ms); longer sleeps are made of several. */
const TIMER_MS_MAX = 2_147_483_647;

export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    let rest = ms;
    while (rest > TIMER_MS_MAX) {
      if (!(await sleepOnce(TIMER_MS_MAX, signal))) {
        return false;
      }
      rest -= TIMER_MS_MAX;
    }
    return sleepOnce(rest, signal);
  },
};

function sleepOnce(ms: number, signal: AbortSignal | undefined): Promise<boolean> {
  if (signal?.aborted) {
    return Promise.resolve(false);
  }
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve(true);
    }, ms);
    const onAbort = () => {
      clearTimeout(timer);
      resolve(false);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
