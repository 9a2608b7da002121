import { AgentError } from '../core/errors.ts';
import type { RolloutOutcome } from '../kubernetes/rollout.ts';

/** Time beside the rollout itself that a command which waits for one may take. */
export const ROLLOUT_MARGIN_MS = 60_000;

/** Why a Deployment is not what it should be, with what was found in its pods. */
export function rolloutFailure(
  target: { readonly namespace: string; readonly name: string },
  outcome: RolloutOutcome,
): AgentError {
  const found = outcome.reasons.length === 0 ? 'no reason found' : outcome.reasons.join('; ');
  return new AgentError(
    'ROLLOUT_FAILED',
    `${target.namespace}/${target.name} has ${outcome.ready} of ${outcome.wanted} replicas ready: ${found}`,
    { hint: 'Correct what the reasons name, or give it a larger wait_seconds' },
  );
}
