import { bell, rungWithin } from '../core/bell.ts';
import type { Clock, Log, Random } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { troubleOf } from '../core/trouble.ts';
import type { MachineFinding } from '../health/facts.ts';
import { adviceOf, type CheckResult } from '../host/checks/run.ts';
import type { K3sUpkeep } from '../protocol/host-facts.ts';

/** Not while everything starts. */
export const FIRST_LOOK_MS = 60_000;
export const LOOK_EVERY_MS = 3_600_000;
/** So that many machines of one host do not look at the same time. */
const JITTER = 0.1;

interface Looked {
  readonly results: readonly Pick<CheckResult, 'id' | 'outcome'>[];
  /** What k3s needs; undefined where root's helper does not say. */
  readonly k3s: K3sUpkeep | undefined;
}

export type LookAtMachine = (signal: AbortSignal) => Promise<Looked>;

export interface HourlyLook {
  /** What the last look has found. */
  readonly findings: () => readonly MachineFinding[];
  /** Looks once more, now. */
  readonly lookSoon: () => void;
  readonly service: Service;
}

/** Looks at the machine every hour, as `health-check` does, for people who do not. */
export function hourlyLook(
  deps: {
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Log;
    /** Does what k3s needs, after each look. @returns whether something is otherwise now */
    readonly upkeep: (k3s: K3sUpkeep | undefined, signal: AbortSignal) => Promise<boolean>;
  },
  look: LookAtMachine,
): HourlyLook {
  let found: readonly MachineFinding[] = [];
  const soon = bell();
  const lookOnce = async (signal: AbortSignal) => {
    try {
      const { results, k3s } = await look(signal);
      found = findingsOf(results);
      if (await deps.upkeep(k3s, signal)) {
        soon.ring();
      }
    } catch (thrown) {
      // A check must not end the agent that it looks after.
      if (!signal.aborted) {
        deps.log.error('the machine could not be looked at', { error: troubleOf(thrown) });
      }
    }
  };
  const run = async (signal: AbortSignal) => {
    let waitMs = FIRST_LOOK_MS;
    while (!signal.aborted) {
      await rungWithin(deps, soon, waitMs, signal);
      if (signal.aborted) {
        return;
      }
      await lookOnce(signal);
      waitMs = LOOK_EVERY_MS * (1 + JITTER * (deps.random.fraction() - 0.5));
    }
  };
  return {
    findings: () => found,
    lookSoon: soon.ring,
    service: { name: 'hourly-look', start: async (signal) => ({ done: run(signal) }) },
  };
}

function findingsOf(results: Looked['results']): readonly MachineFinding[] {
  return results.flatMap(({ id, outcome }) => {
    if (outcome.state !== 'found') {
      return [];
    }
    const { code, message } = outcome.finding;
    return [{ check: id, code, message, advice: adviceOf(outcome.finding) }];
  });
}
