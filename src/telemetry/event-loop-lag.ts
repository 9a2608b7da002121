import { msUntilBeat } from '../core/beat.ts';
import type { Clock } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import type { Histograms } from './metrics/histograms.ts';

/** Time between two looks: rare enough to cost an idle daemon nothing that can be measured. */
const LAG_LOOK_INTERVAL_MS = 2_000;

/** Measures how late a timer fires. A stall between two looks is seen by its last part only. */
export function eventLoopLag(deps: {
  readonly clock: Clock;
  readonly histograms: Histograms;
}): Service {
  const { clock, histograms } = deps;
  const watch = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      const waitMs = msUntilBeat(clock, LAG_LOOK_INTERVAL_MS);
      const askedAt = clock.monotonic();
      if (await clock.sleep(waitMs, signal)) {
        const lateMs = Math.max(0, clock.monotonic() - askedAt - waitMs);
        histograms.observe('pipeops_agent_event_loop_lag_seconds', {}, lateMs / 1_000);
      }
    }
  };
  return { name: 'event-loop-lag', start: async (signal) => ({ done: watch(signal) }) };
}
