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
  let found: ReadonlyMap<string, MachineFinding> = new Map();
  const lookOnce = async (signal: AbortSignal) => {
    try {
      const now = findingsOf(await look(signal));
      tell(deps.log, found, now);
      found = now;
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
    findings: () => [...found.values()],
    service: { name: 'hourly-look', start: async (signal) => ({ done: run(signal) }) },
  };
}

/** By the id of the check. */
function findingsOf(results: Looked): ReadonlyMap<string, MachineFinding> {
  return new Map(
    results.flatMap(({ id, outcome }) => {
      if (outcome.state !== 'found') {
        return [];
      }
      const { code, message } = outcome.finding;
      const found = { check: id, code, message, advice: adviceOf(outcome.finding) };
      return [[id, found] as const];
    }),
  );
}

/** Only what has changed. */
function tell(
  log: Log,
  before: ReadonlyMap<string, MachineFinding>,
  now: ReadonlyMap<string, MachineFinding>,
): void {
  for (const [check, { code, message }] of now) {
    if (!before.has(check)) {
      log.warn('something is wrong with the machine', { check, error_code: code, error: message });
    }
  }
  for (const check of before.keys()) {
    if (!now.has(check)) {
      log.info('the machine is right again', { check });
    }
  }
}
