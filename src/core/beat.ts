import type { Clock } from './ports.ts';

/**
 * How long to sleep until the next moment that is a multiple of the interval, ms; half of the interval at least.
 * What looks regularly looks at the same moments so, and an idle process wakes once for all of them.
 */
export function msUntilBeat(clock: Pick<Clock, 'monotonic'>, everyMs: number): number {
  const leftMs = everyMs - (clock.monotonic() % everyMs);
  return Math.ceil(leftMs < everyMs / 2 ? leftMs + everyMs : leftMs);
}
