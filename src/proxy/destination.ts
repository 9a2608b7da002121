import type { UpstreamAddress } from '../http1/client/address.ts';
import type { PolicyDecision } from '../policy/decision.ts';

/** Where requests go, and whether they may: the Kubernetes API, or an application. */
export interface Destination {
  allow(method: string, target: string, upgrade: boolean): PolicyDecision;
  /** @throws AgentError when the location is not known now */
  locate(): Location | Promise<Location>;
  /** The destination answered 401: what is known of it may be out of date. */
  unauthorized(): void;
}

/** `address` is the same object while nothing changed: the pool keeps connections by it. */
export interface Location {
  readonly address: UpstreamAddress;
  /** For the Host header. */
  readonly host: string;
  /** The agent's own token, in place of the caller's; undefined for an application. */
  readonly token: string | undefined;
}
