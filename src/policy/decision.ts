/**
 * What the control plane, and every user of the proxy, may do on this machine's cluster. One
 * evaluator for both: a command is a type plus the Kubernetes accesses it makes; a proxied request
 * is one access, or a non-resource path. What is allowed: docs/POLICY.md.
 */
import { AgentError } from '../core/errors.ts';
import type { HostVerb } from '../protocol/files/policy.ts';
import { refusalHint } from './refusal-hint.ts';

/** One request to the Kubernetes API, as RBAC sees it (kubernetes.io, "Authorization overview"). */
export interface AccessRequest {
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`. */
  readonly verb: string;
  /** `''` for the core group. */
  readonly group: string;
  /** Plural, lower case: `pods`. */
  readonly resource: string;
  /** `exec`, `log`, `proxy` …; '' for none. */
  readonly subresource: string;
  /** '' for what is not in a namespace, or for all namespaces. */
  readonly namespace: string;
  /** '' for a whole list. */
  readonly name: string;
}

export type PolicyDecision =
  | { readonly allowed: true }
  | {
      readonly allowed: false;
      /** Name of the rule that refuses: a line of `pipeops-agent policy show`. */
      readonly rule: string;
      /** Why, as a sentence for people. */
      readonly reason: string;
    };

export interface Policy {
  /**
   * Whether commands of this type may run at all: in this namespace where they name one, and with this of root's
   * helper where they ask it for one of several things.
   */
  command(request: {
    readonly type: string;
    readonly namespace?: string;
    readonly hostVerb?: HostVerb;
  }): PolicyDecision;
  /** Whether a person decides about each use of this verb, where it is allowed. */
  isAsked(verb: HostVerb): boolean;
  /** When this verb is done, where it is not at any time; undefined where it may be now. */
  windowsAhead(verb: HostVerb, now: Date): readonly string[] | undefined;
  access(request: AccessRequest): PolicyDecision;
  /** Whether an object that is to be written may be as it is, whoever writes it and where. */
  object(object: unknown): PolicyDecision;
  /**
   * A request of the proxy.
   * @param target path and query as they go to Kubernetes, byte for byte: `/api/v1/pods?limit=1`
   * @param upgrade the request wants to become a WebSocket or SPDY connection
   */
  request(method: string, target: string, upgrade: boolean): PolicyDecision;
}

/**
 * What the tunnel asks, besides where a Service is and whether it may be reached
 * (routes/service-locator.ts).
 */
export interface ReachPolicy {
  /**
   * Whether applications of this namespace may be reached from outside, by a Service that carries
   * the label for it.
   */
  reach(namespace: string): PolicyDecision;
  /**
   * Whether the tunnel leads to the Kubernetes API itself, for callers that bring their own
   * account.
   */
  kubernetesApi(): PolicyDecision;
}

export const ALLOWED: PolicyDecision = { allowed: true };

export function refused(rule: string, reason: string): PolicyDecision {
  return { allowed: false, rule, reason };
}

/** @throws AgentError POLICY_DENIED naming the rule */
export function requireAllowed(decision: PolicyDecision): void {
  if (!decision.allowed) {
    throw new AgentError('POLICY_DENIED', decision.reason, {
      hint: refusalHint(decision.rule),
      details: { rule: decision.rule },
    });
  }
}
