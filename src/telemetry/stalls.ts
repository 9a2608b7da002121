import type { Clock, Log, Profiler, StackSample } from '../core/ports.ts';
import type { Service } from '../core/service.ts';

/** A turn of the event loop that takes so long keeps everybody waiting. */
export const STALL_MS = 50;
/** Between two looks; a stall is known to so much. */
export const LOOK_INTERVAL_MS = 10;
/** Of stalls in a row one is told this often at most. */
export const TOLD_EVERY_MS = 1_000;
/** Samples of stacks that no stall asked for are dropped this often: one of 5 ms is 0.5 KiB. */
const FORGET_EVERY_MS = 1_000;
/** Functions of a stack that are told. */
const FRAMES_MAX = 16;

/**
 * Tells of turns of the event loop that took too long, with what ran in most of the samples: functions, the one
 * that ran first. Costs some per cent of a processor.
 */
export function stallWatch({
  clock,
  log,
  profiler,
}: {
  readonly clock: Clock;
  readonly log: Log;
  readonly profiler: Pick<Profiler, 'watchStacks' | 'takeStacks'>;
}): Service {
  const watch = async (signal: AbortSignal) => {
    let askedAt = clock.monotonic();
    let forgottenAt = askedAt;
    let toldAt = Number.NEGATIVE_INFINITY;
    let untold = 0;
    while (await clock.sleep(LOOK_INTERVAL_MS, signal)) {
      const now = clock.monotonic();
      const stalledMs = now - askedAt - LOOK_INTERVAL_MS;
      askedAt = now;
      if (stalledMs >= STALL_MS && now - toldAt < TOLD_EVERY_MS) {
        untold += 1;
      } else if (stalledMs >= STALL_MS) {
        const samples = newest(profiler.takeStacks(), stalledMs);
        log.warn('the event loop stood still', {
          duration_ms: Math.round(stalledMs),
          ...stackOf(samples),
          ...(untold === 0 ? {} : { untold }),
        });
        [toldAt, untold] = [now, 0];
      } else if (now - forgottenAt >= FORGET_EVERY_MS) {
        profiler.takeStacks();
        forgottenAt = now;
      }
    }
  };
  return {
    name: 'stalls',
    start: async (signal) => {
      profiler.watchStacks();
      return { done: watch(signal) };
    },
  };
}

function newest(samples: readonly StackSample[], ms: number): readonly StackSample[] {
  const last = samples.at(-1)?.atMs ?? 0;
  return samples.filter(({ atMs }) => atMs >= last - ms);
}

/** The stack that was seen most often; none where only the runtime itself ran, as it does to collect garbage. */
function stackOf(samples: readonly StackSample[]): { stack?: string; samples?: string } {
  const counts = new Map<string, number>();
  for (const { frames } of samples) {
    const stack = frames.slice(0, FRAMES_MAX).join(' < ');
    counts.set(stack, (counts.get(stack) ?? 0) + 1);
  }
  const [most] = [...counts].sort(([, one], [, other]) => other - one);
  return most === undefined ? {} : { stack: most[0], samples: `${most[1]} of ${samples.length}` };
}
