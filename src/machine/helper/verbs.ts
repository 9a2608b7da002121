/**
 * All that root's helper does: a verb is here only when it works. Each says what of the local policy it
 * needs (docs/decisions/0033-root-helper.md: what each can do at worst).
 */
import { assertNever } from '../../core/errors.ts';
import { ALLOWED, type PolicyDecision } from '../../policy/decision.ts';
import type { EffectivePolicy } from '../../policy/effective.ts';
import { decideHost, decideUpkeep } from '../../policy/evaluate.ts';
import type { HostVerb } from '../../protocol/files/policy.ts';
import type { HelperRequest } from '../../protocol/helper.ts';
import type { MachineContext } from '../context.ts';

export interface VerbDecision {
  readonly decision: PolicyDecision;
  /** Whether a person decides, too. */
  readonly isAsked: boolean;
  /** What of the host it uses; undefined where that is nothing to decide about. */
  readonly hostVerb?: HostVerb;
}

export function decisionOf(policy: EffectivePolicy, request: HelperRequest): VerbDecision {
  switch (request.verb) {
    case 'mint_join_token':
      return hostDecision(
        policy,
        'join_token',
        request.role === 'server' ? 'server_token' : 'join_token',
        request.ask,
      );
    case 'snapshot':
      return hostDecision(policy, 'snapshot', 'snapshot', request.ask);
    case 'upgrade_agent':
      return hostDecision(policy, 'upgrade_agent', 'upgrade_agent', request.ask);
    case 'support_bundle':
      return hostDecision(policy, 'support_bundle', 'support_bundle', request.ask);
    case 'upgrade_k3s':
      return hostDecision(policy, 'upgrade_k3s', 'upgrade_k3s', request.ask);
    case 'upgrade_k3s_next':
      // A person has said yes to all of it.
      return { ...hostDecision(policy, 'upgrade_k3s', 'upgrade_k3s'), isAsked: false };
    case 'restart_k3s':
      return {
        decision: decideUpkeep(policy, 'restart_k3s'),
        hostVerb: 'restart_k3s',
        isAsked: policy.host.restart_k3s.decision === 'ask',
      };
    case 'upgrade_outcome':
    case 'upgrade_k3s_state':
    case 'host_facts':
      // What `status` shows the daemon's people anyway.
      return { decision: ALLOWED, isAsked: false };
    default:
      return assertNever(request);
  }
}

function hostDecision(
  policy: EffectivePolicy,
  type: string,
  verb: HostVerb,
  isAskedElsewhere = false,
): VerbDecision {
  return {
    decision: decideHost(policy, type, verb),
    hostVerb: verb,
    isAsked: isAskedElsewhere || policy.host[verb].decision === 'ask',
  };
}

/** @throws AgentError as the verb's own file says */
export async function carryOut(
  context: MachineContext,
  request: HelperRequest,
  tell: (progress: string) => Promise<void>,
): Promise<Readonly<Record<string, unknown>>> {
  switch (request.verb) {
    case 'mint_join_token': {
      const { mintJoinToken } = await import('./mint-join-token.ts');
      return { ...(await mintJoinToken(context, request)) };
    }
    case 'snapshot': {
      const { commandedSnapshot } = await import('./snapshot.ts');
      return await commandedSnapshot(context, request, tell);
    }
    case 'upgrade_agent': {
      const { commandedUpgrade } = await import('./upgrade-agent.ts');
      return await commandedUpgrade(context, request, tell);
    }
    case 'restart_k3s': {
      const { restartK3s } = await import('./restart-k3s.ts');
      return { ...(await restartK3s(context, tell)) };
    }
    case 'upgrade_k3s': {
      const { allowK3sUpgrade } = await import('./upgrade-k3s.ts');
      return await allowK3sUpgrade(context, request);
    }
    case 'upgrade_k3s_next': {
      const { askNextNode } = await import('./upgrade-k3s.ts');
      return await askNextNode(context, request.command_id);
    }
    case 'upgrade_k3s_state': {
      const { ledK3s } = await import('./upgrade-k3s.ts');
      return await ledK3s(context, request.command_id);
    }
    case 'support_bundle': {
      const { commandedSupportBundle } = await import('./support-bundle.ts');
      return { ...(await commandedSupportBundle(context, request, tell)) };
    }
    case 'upgrade_outcome': {
      const { upgradeOutcome } = await import('./upgrade-agent.ts');
      return await upgradeOutcome(context, request.command_id);
    }
    case 'host_facts': {
      const { hostFacts } = await import('./host-facts.ts');
      return await hostFacts(context);
    }
    default:
      return assertNever(request);
  }
}
