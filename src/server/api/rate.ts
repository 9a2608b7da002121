import type { Clock } from '../../core/ports.ts';

/** Requests a second in the long run, and how many may come at once. */
const RATE_PER_SECOND = 100;
const BURST = 300;

export interface RateLimit {
  /** @returns seconds after which it is worth another try; undefined: it may go on */
  take(): number | undefined;
}

/** A bucket of `BURST` tokens that fills with time: for all callers of a door together. */
export function rateLimit({ clock }: { readonly clock: Pick<Clock, 'monotonic'> }): RateLimit {
  let tokens = BURST;
  let filledAt = clock.monotonic();
  return {
    take: () => {
      const now = clock.monotonic();
      tokens = Math.min(BURST, tokens + ((now - filledAt) / 1_000) * RATE_PER_SECOND);
      filledAt = now;
      if (tokens < 1) {
        return Math.ceil((1 - tokens) / RATE_PER_SECOND);
      }
      tokens -= 1;
      return undefined;
    },
  };
}
