import type { AccessRequest, Policy, PolicyDecision, ReachPolicy } from './decision.ts';
import type { RefusalKind, Refusals } from './refusals.ts';

/** How often something was refused, by what was asked for. */
export type RefusalCounts = Readonly<Record<RefusalKind, number>>;

export interface CountingPolicy {
  readonly policy: Policy & ReachPolicy;
  refusals(): RefusalCounts;
}

/**
 * Counts refusals, and has them remembered. What the tunnel asks is left out: it asks again and again, whoever
 * wants to get through.
 */
export function countingPolicy(
  inner: Policy & ReachPolicy,
  { note }: Pick<Refusals, 'note'>,
): CountingPolicy {
  const counts = { command: 0, access: 0, object: 0, request: 0 };
  const counted = (kind: RefusalKind, decision: PolicyDecision, about: () => string) => {
    if (!decision.allowed) {
      counts[kind] += 1;
      note(kind, about(), decision);
    }
    return decision;
  };
  return {
    refusals: () => ({ ...counts }),
    policy: {
      command: (request) => counted('command', inner.command(request), () => commandText(request)),
      isAsked: (verb) => inner.isAsked(verb),
      windowsAhead: (verb, now) => inner.windowsAhead(verb, now),
      access: (request) => counted('access', inner.access(request), () => accessText(request)),
      object: (object) => counted('object', inner.object(object), () => objectText(object)),
      request: (method, target, upgrade) =>
        counted(
          'request',
          inner.request(method, target, upgrade),
          // A query may hold anything.
          () => `${method} ${target.split('?', 1)[0]}`,
        ),
      reach: (namespace) => inner.reach(namespace),
      kubernetesApi: () => inner.kubernetesApi(),
    },
  };
}

function commandText({ type, namespace, hostVerb }: Parameters<Policy['command']>[0]): string {
  const verb = hostVerb === undefined ? '' : ` (${hostVerb})`;
  return `${type}${verb}${namespace === undefined ? '' : ` in ${namespace}`}`;
}

function accessText({ verb, group, resource, subresource, namespace, name }: AccessRequest) {
  const kind = [resource, subresource].filter((part) => part !== '').join('/');
  const place = [namespace, name].filter((part) => part !== '').join('/');
  return `${verb} ${kind}${group === '' ? '' : `.${group}`}${place === '' ? '' : ` ${place}`}`;
}

/** Only what it is: its content may be secret. */
function objectText(object: unknown): string {
  const { kind, metadata } = (object ?? {}) as {
    readonly kind?: unknown;
    readonly metadata?: { readonly namespace?: unknown; readonly name?: unknown };
  };
  const place = [metadata?.namespace, metadata?.name].filter((part) => typeof part === 'string');
  return [typeof kind === 'string' ? kind : 'an object', place.join('/')].join(' ').trim();
}
