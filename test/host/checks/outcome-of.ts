import type { Check, Finding } from '../../../src/host/checks/check.ts';
import { type Outcome, runChecks } from '../../../src/host/checks/run.ts';
import type { FactDeps } from '../../../src/host/facts/fact.ts';

/** What one check says of a machine. */
export async function outcomeOf(check: Check, deps: FactDeps): Promise<Outcome> {
  const [result] = await runChecks(deps, [check]);
  return result?.outcome ?? { state: 'not-checked', because: 'it has not run' };
}

/** What it finds; undefined where it finds nothing. */
export async function findingOf(check: Check, deps: FactDeps): Promise<Finding | undefined> {
  const outcome = await outcomeOf(check, deps);
  return outcome.state === 'found' ? outcome.finding : undefined;
}
