/** What a run looks at and asks before its first step, with the time that takes. */
import { type Spent, secondsOf } from '../core/spent.ts';
import type { MachineContext } from './context.ts';

export interface Beforehand {
  /** When the run began, of the monotonic clock. */
  readonly startedAt: number;
  /** Grows with each line of progress that is done. */
  readonly checks: readonly Spent[];
}

export interface TimedContext {
  readonly context: MachineContext;
  readonly before: Beforehand;
}

/** The same machine, with a note of each line of progress from now on. */
export function timedBeforehand(machine: MachineContext): TimedContext {
  const { clock } = machine;
  const checks: Spent[] = [];
  const progress: MachineContext['progress'] = async (title) => {
    const startedAt = clock.monotonic();
    const shown = await machine.progress(title);
    return {
      ...shown,
      done: (text) => {
        checks.push({ title, seconds: secondsOf(clock.monotonic() - startedAt) });
        shown.done(text);
      },
    };
  };
  const before = { startedAt: clock.monotonic(), checks };
  return { context: { ...machine, progress }, before };
}
