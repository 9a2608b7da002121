import { msUntilBeat } from '../core/beat.ts';
import type { Clock, Runtime } from '../core/ports.ts';
import type { Service } from '../core/service.ts';

/** How often it checks whether there is work. */
export const LOOK_INTERVAL_MS = 2_000;
/** Share of one processor. An idle daemon needs half a per cent. */
export const BUSY_SHARE = 0.1;
/** The start itself is busy, and says nothing about what follows. */
export const START_MS = 15_000;
/** After this long idle, it releases the code that the last work used. */
export const CALM_MS = 30_000;
/** While idle, it releases again this often the code that rare tasks have loaded since. */
export const RELEASE_INTERVAL_MS = 2 * 60_000;

/**
 * Keeps the memory of an idle daemon small (decision 0025). The executable starts with a
 * just-in-time compiler that waits (scripts/build.ts); the first work makes it as eager as usual,
 * for good.
 */
export function idleMemory(deps: { readonly clock: Clock; readonly runtime: Runtime }): Service {
  return {
    name: 'idle-memory',
    start: async (signal) => ({ done: watch(deps.clock, deps.runtime, signal) }),
  };
}

async function watch(clock: Clock, runtime: Runtime, signal: AbortSignal): Promise<void> {
  const startedAt = clock.monotonic();
  let releaseAt = startedAt + CALM_MS;
  let isEager = false;
  let before = { at: startedAt, cpuMs: runtime.cpuMs() };
  while (await clock.sleep(msUntilBeat(clock, LOOK_INTERVAL_MS), signal)) {
    const now = { at: clock.monotonic(), cpuMs: runtime.cpuMs() };
    const isBusy = now.cpuMs - before.cpuMs >= (now.at - before.at) * BUSY_SHARE;
    before = now;
    if (isBusy) {
      releaseAt = now.at + CALM_MS;
      if (!isEager && now.at - startedAt > START_MS) {
        isEager = true;
        runtime.compileEagerly();
      }
    } else if (now.at >= releaseAt) {
      releaseAt = now.at + RELEASE_INTERVAL_MS;
      runtime.releaseCode();
    }
  }
}
