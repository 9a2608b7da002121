import type { Clock, Log, Random } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { troubleOf } from '../core/trouble.ts';
import type { MachineFinding } from '../health/facts.ts';
import { adviceOf, type CheckResult } from '../host/checks/run.ts';

/** Not while everything starts. */
export const FIRST_LOOK_MS = 60_000;
export const LOOK_EVERY_MS = 3_600_000;
/** So that many machines of one host do not look at the same time. */
const JITTER = 0.1;

type Looked = readonly Pick<CheckResult, 'id' | 'outcome'>[];
export type LookAtMachine = (signal: AbortSignal) => Promise<Looked>;

export interface HourlyLook {
  /** What the last look has found. */
  readonly findings: () => readonly MachineFinding[];
  readonly service: Service;
}

/** Looks at the machine every hour, as `health-check` does, for people who do not. */
export function hourlyLook(
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Log },
  look: LookAtMachine,
): HourlyLook {
  let found: readonly MachineFinding[] = [];
  const lookOnce = async (signal: AbortSignal) => {
    try {
      found = findingsOf(await look(signal));
    } catch (thrown) {
      // A check must not end the agent that it looks after.
      if (!signal.aborted) {
        deps.log.error('the machine could not be looked at', { error: troubleOf(thrown) });
      }
    }
  };
  const run = async (signal: AbortSignal) => {
    let waitMs = FIRST_LOOK_MS;
    while (await deps.clock.sleep(waitMs, signal)) {
      await lookOnce(signal);
      waitMs = LOOK_EVERY_MS * (1 + JITTER * (deps.random.fraction() - 0.5));
    }
  };
  return {
    findings: () => found,
    service: { name: 'hourly-look', start: async (signal) => ({ done: run(signal) }) },
  };
}

function findingsOf(results: Looked): readonly MachineFinding[] {
  return results.flatMap(({ id, outcome }) => {
    if (outcome.state !== 'found') {
      return [];
    }
    const { code, message } = outcome.finding;
    return [{ check: id, code, message, advice: adviceOf(outcome.finding) }];
  });
}
