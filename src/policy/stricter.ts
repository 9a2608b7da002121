import type { Policy, PolicyDecision, ReachPolicy } from './decision.ts';

type Whole = Policy & ReachPolicy;

/**
 * Allows what both allow. Where both refuse, the first one says why. A person is asked where either wants it.
 * @param second asked each time; undefined: the first one counts alone
 */
export function stricterOf(first: Whole, second: () => Whole | undefined): Whole {
  const both = (ask: (policy: Whole) => PolicyDecision): PolicyDecision => {
    const decision = ask(first);
    const other = second();
    return decision.allowed && other !== undefined ? ask(other) : decision;
  };
  return {
    command: (request) => both((each) => each.command(request)),
    isAsked: (verb) => first.isAsked(verb) || second()?.isAsked(verb) === true,
    windowsAhead: (verb, now) => first.windowsAhead(verb, now) ?? second()?.windowsAhead(verb, now),
    access: (request) => both((each) => each.access(request)),
    object: (object) => both((each) => each.object(object)),
    reach: (namespace) => both((each) => each.reach(namespace)),
    kubernetesApi: () => both((each) => each.kubernetesApi()),
    request: (method, target, upgrade) => both((each) => each.request(method, target, upgrade)),
  };
}
