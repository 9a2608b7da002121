import type { Clock } from '../../src/core/ports.ts';
import { systemClock } from '../../src/platform/clock.ts';

/** Real time that runs faster: what waits half a minute is there in moments, in the right order. */
export function scaledClock(factor: number): Clock {
  const startMs = systemClock.now().getTime();
  const bornAt = systemClock.monotonic();
  const elapsed = () => (systemClock.monotonic() - bornAt) * factor;
  return {
    now: () => new Date(startMs + elapsed()),
    monotonic: elapsed,
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  };
}
