/** What a run looks at and asks before its first step, and what install.sh did before it, with the time that takes. */
import { type Spent, secondsOf } from '../core/spent.ts';
import type { MachineContext } from './context.ts';

/** What was fetched takes longer; the start of a program that is here already, less. */
const FETCHED_MS_MIN = 200;

/** install.sh sets it to `yes`. Other shells become the last program of theirs as well, whatever they did before. */
const BEGUN_BY_INSTALL_SH = 'PIPEOPS_INSTALL_SH';

export interface Beforehand {
  /** When the run began, with install.sh where that began it, of the monotonic clock. */
  readonly startedAt: number;
  /** Grows with each line of progress that is done. */
  readonly checks: readonly Spent[];
}

export interface TimedContext {
  readonly context: MachineContext;
  readonly before: Beforehand;
}

/** The same machine, with a note of each line of progress from now on. */
export async function timedBeforehand(machine: MachineContext): Promise<TimedContext> {
  const { clock } = machine;
  const isInstallSh = machine.env[BEGUN_BY_INSTALL_SH] === 'yes';
  const before = isInstallSh ? await machine.msBeforeProgram() : 0;
  const fetchedMs = before < FETCHED_MS_MIN ? 0 : before;
  const checks: Spent[] =
    fetchedMs === 0 ? [] : [{ title: 'Fetch the agent', seconds: secondsOf(fetchedMs) }];
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
  return {
    context: { ...machine, progress },
    before: { startedAt: clock.monotonic() - fetchedMs, checks },
  };
}
