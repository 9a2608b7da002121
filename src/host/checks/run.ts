import { AgentError, expectedError } from '../../core/errors.ts';
import type { Facts } from '../facts/fact.ts';
import { type Check, type Finding, findingOf, type Severity } from './check.ts';

export interface CheckResult {
  readonly id: string;
  readonly title: string;
  readonly severity: Severity;
  /** Null: all is well. */
  readonly finding: Finding | null;
}

/** Runs them all side by side, whatever the others find. Results in the order of the checks. */
export function runChecks(facts: Facts, checks: readonly Check[]): Promise<readonly CheckResult[]> {
  return Promise.all(
    checks.map(async (check): Promise<CheckResult> => {
      const { id, title, severity } = check;
      return { id, title, severity, finding: (await findingBy(check, facts)) ?? null };
    }),
  );
}

async function findingBy(check: Check, facts: Facts): Promise<Finding | undefined> {
  try {
    await Promise.all(check.needs.map((fact) => facts(fact)));
    return await check.run(facts);
  } catch (thrown) {
    return findingOf(expectedError(thrown));
  }
}

/** The one error of all findings that block; undefined where none does. */
export function blockingError(results: readonly CheckResult[]): AgentError | undefined {
  const blocking = results.flatMap(({ id, severity, finding }) =>
    severity === 'blocks' && finding !== null ? [{ id, ...finding }] : [],
  );
  const [first, ...others] = blocking;
  if (first === undefined) {
    return undefined;
  }
  if (others.length === 0) {
    return new AgentError(first.code, first.message, {
      hint: first.hint,
      ...(first.details === undefined ? {} : { details: first.details }),
    });
  }
  const list = blocking.map(
    ({ message, hint }, index) => `\n  ${index + 1}. ${message}\n     ${hint}`,
  );
  return new AgentError(first.code, `${blocking.length} things stand in the way:${list.join('')}`, {
    hint: 'Nothing was changed. Mend all of them, then run the same command again',
    details: { findings: blocking },
  });
}
