import type { Policy, PolicyDecision, ReachPolicy } from './decision.ts';

/** How often something was refused, by what was asked for. */
export type RefusalCounts = Readonly<Record<'command' | 'access' | 'object' | 'request', number>>;

export interface CountingPolicy {
  readonly policy: Policy & ReachPolicy;
  refusals(): RefusalCounts;
}

/** What the tunnel asks is not counted: it asks again and again, whoever wants to get through. */
export function countingPolicy(inner: Policy & ReachPolicy): CountingPolicy {
  const counts = { command: 0, access: 0, object: 0, request: 0 };
  const counted = (kind: keyof RefusalCounts, decision: PolicyDecision): PolicyDecision => {
    counts[kind] += decision.allowed ? 0 : 1;
    return decision;
  };
  return {
    refusals: () => ({ ...counts }),
    policy: {
      command: (request) => counted('command', inner.command(request)),
      isAsked: (verb) => inner.isAsked(verb),
      windowsAhead: (verb, now) => inner.windowsAhead(verb, now),
      access: (request) => counted('access', inner.access(request)),
      object: (object) => counted('object', inner.object(object)),
      request: (method, target, upgrade) =>
        counted('request', inner.request(method, target, upgrade)),
      reach: (namespace) => inner.reach(namespace),
      kubernetesApi: () => inner.kubernetesApi(),
    },
  };
}
