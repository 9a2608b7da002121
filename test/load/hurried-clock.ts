import type { Clock } from '../../src/core/ports.ts';
import { systemClock } from '../../src/platform/clock.ts';

/** A clock that runs this many times faster: for what waits between two tries. */
export function hurriedClock(factor: number): Clock {
  return {
    now: systemClock.now,
    monotonic: () => systemClock.monotonic() * factor,
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  };
}
