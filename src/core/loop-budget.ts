import type { Clock } from './ports.ts';

/** Longest stretch of work before others get their turn, milliseconds. */
const STRETCH_MS = 5;

/** Keeps long work from blocking the event loop. */
export interface LoopBudget {
  /** Whether the stretch is over: then `await rest()`. Cheap enough to ask for each object. */
  spent(): boolean;
  /** Lets everything that waits run, and begins the next stretch. */
  rest(): Promise<void>;
}

export function loopBudget(deps: { readonly clock: Clock }): LoopBudget {
  let endsAt = deps.clock.monotonic() + STRETCH_MS;
  return {
    spent: () => deps.clock.monotonic() >= endsAt,
    rest: async () => {
      await deps.clock.sleep(0);
      endsAt = deps.clock.monotonic() + STRETCH_MS;
    },
  };
}
