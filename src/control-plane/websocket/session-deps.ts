/** What a session over a WebSocket is made of, at the controller and at a gateway. */
import type { Log, Random, WebSocketDial } from '../../core/ports.ts';
import type { RegisterPayload } from '../../protocol/session/messages.ts';
import type { GatewayPolicy } from '../session/gateway.ts';
import type { SessionMemory } from '../session/ports.ts';
import type { Connection } from './connection.ts';
import type { ConversationDeps, Peer } from './conversation.ts';

/** What is known of this machine when it registers. */
export interface RegistrationFacts
  extends Omit<
    RegisterPayload,
    'agent_id' | 'agent_version' | 'features' | 'metadata' | 'cluster_id' | 'k8s_service_token'
  > {
  /** What there is no field for: `instance_id`, `zone`, … */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface WebSocketSessionDeps extends ConversationDeps {
  readonly log: Log;
  readonly random: Random;
  readonly dial: WebSocketDial;
  /** The bearer token as it is now: it may be replaced while the daemon runs. */
  readonly token: () => Promise<string | undefined>;
  readonly memory: SessionMemory;
  readonly gateway: GatewayPolicy;
  readonly facts: () => Promise<RegistrationFacts>;
}

export interface WebSocketSessionOptions {
  readonly agentId: string;
  readonly version: string;
  /** `https://…`; its path is replaced, its query kept. */
  readonly apiUrl: string;
  /** The token may cross in clear text to hosts that are not this one. */
  readonly allowInsecure: boolean;
  /** Where a gateway may be: root's list; any host where it says nothing. */
  readonly gatewayHosts?: readonly string[] | undefined;
}

/** The session is up. */
export type OnLive = (kind: Connection['kind'], peer: Peer) => void;
