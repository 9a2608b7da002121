/**
 * Waiting for a rollout as commands do it: with progress, and a cancel that says how far it got.
 */
import { AgentError } from '../../core/errors.ts';
import { followRollout, type RolloutOutcome } from '../../kubernetes/deployments/rollout.ts';
import type { RolloutState } from '../../kubernetes/deployments/rollout-state.ts';
import type { DeploymentTarget } from '../../protocol/commands/fields.ts';
import { stopped } from '../engine/cancelled.ts';
import type { CommandContext } from '../engine/handler.ts';

/** Time that a command may take beyond the rollout it waits for. */
const ROLLOUT_MARGIN_MS = 60_000;

export function rolloutTimeoutMs({ wait_seconds }: { readonly wait_seconds: number }): number {
  return wait_seconds * 1_000 + ROLLOUT_MARGIN_MS;
}

/**
 * Waits until the Deployment is rolled out, or has failed to be.
 * @throws AgentError COMMAND_CANCELLED with the replicas so far
 */
export async function rollOut(
  context: CommandContext,
  target: DeploymentTarget,
  waitSeconds: number,
): Promise<RolloutOutcome> {
  const label = `${target.namespace}/${target.name}`;
  let last: RolloutState | undefined;
  try {
    return await followRollout({ clock: context.clock, client: context.kubernetes }, target, {
      waitMs: waitSeconds * 1_000,
      onReady: (state) => {
        last = state;
        const { ready, wanted } = state;
        const facts = { replicas_ready: ready, replicas_wanted: wanted };
        context.progress(`${label}: ${ready} of ${wanted} replicas ready`, facts);
      },
      onReason: (reason) => context.progress(`${label}: ${reason}`, { reason }),
      signal: context.signal,
    });
  } catch (thrown) {
    const far = last === undefined ? '' : `, ${last.ready} of ${last.wanted} replicas ready`;
    throw stopped(context, thrown, `Stopped waiting for ${label}${far}; its rollout goes on`, {
      ...(last === undefined ? {} : { replicas_ready: last.ready, replicas_wanted: last.wanted }),
    });
  }
}

/**
 * Waits for the rollout of a payload's Deployment, as `rollOut`, and makes the parts of the answer.
 */
export async function rollOutAndTell(
  context: CommandContext,
  payload: DeploymentTarget & { readonly wait_seconds: number },
) {
  const outcome = await rollOut(context, payload, payload.wait_seconds);
  return {
    revision: outcome.revision,
    line: rolloutLine(payload, outcome),
    facts: rolloutFacts(outcome),
    failure: rolloutFailure(payload, outcome, payload.wait_seconds),
  };
}

/** What every command that waited for a rollout tells in its data. */
export function rolloutFacts(outcome: RolloutOutcome) {
  return {
    replicas_wanted: outcome.wanted,
    replicas_ready: outcome.ready,
    ...(outcome.reasons.length === 0 ? {} : { reasons: [...outcome.reasons] }),
  };
}

export function rolloutLine(
  { namespace, name }: DeploymentTarget,
  outcome: RolloutOutcome,
): string {
  return `${namespace}/${name}: ${outcome.ready} of ${outcome.wanted} replicas ready\n`;
}

/** No failure when the rollout is complete, or when the payload asks for no wait. */
export function rolloutFailure(
  target: DeploymentTarget,
  outcome: RolloutOutcome,
  waitSeconds: number,
): { readonly failure?: AgentError } {
  if (outcome.complete || waitSeconds === 0) {
    return {};
  }
  const found = outcome.reasons.length === 0 ? 'no reason found' : outcome.reasons.join('; ');
  const ready = `${outcome.ready} of ${outcome.wanted} replicas ready`;
  const failure = new AgentError(
    'ROLLOUT_FAILED',
    `${target.namespace}/${target.name} was not rolled out, ${ready}: ${found}`,
    { hint: 'Correct what the reasons name, or give it a larger wait_seconds' },
  );
  return { failure };
}
