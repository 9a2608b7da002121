import { AgentError } from '../core/errors.ts';
import type { CheckResult } from '../host/checks/run.ts';
import { CHECKS } from './checks.ts';

/** Names checks, comma-separated, whose findings are told and do not stop an installation. */
export const IGNORE_VARIABLE = 'PIPEOPS_IGNORE_CHECKS';

/** @param ids the value of PIPEOPS_IGNORE_CHECKS */
export function ignoredChecks(ids: string | undefined): readonly string[] {
  return (ids ?? '').split(',').flatMap((id) => id.trim() || []);
}

/**
 * What a person takes upon themselves is only told.
 * @param ids the value of PIPEOPS_IGNORE_CHECKS
 * @throws AgentError CONFIG_INVALID for what is no check: a mistake must not be silent
 */
export function withIgnored(
  results: readonly CheckResult[],
  ids: string | undefined,
): readonly CheckResult[] {
  const ignored = ignoredChecks(ids);
  const known = CHECKS.map(({ id }) => id);
  const unknown = ignored.filter((id) => !known.includes(id));
  if (unknown.length > 0) {
    throw new AgentError('CONFIG_INVALID', `There is no check "${unknown.join(', ')}"`, {
      hint: `${IGNORE_VARIABLE} may name these: ${known.join(', ')}`,
    });
  }
  return results.map((result) =>
    ignored.includes(result.id) ? { ...result, severity: 'warns' as const } : result,
  );
}
