import type { AgentLinks, DataPlanePeer } from './agent-link.ts';
import type { Dialect } from './dialect.ts';
import type { ControlPlaneStore } from './store.ts';

export interface ConversationDeps {
  readonly store: ControlPlaneStore;
  readonly links: AgentLinks;
  readonly dialect: Dialect;
  readonly dataPlane: DataPlanePeer | undefined;
  /** `wss://host:port`, where agents reach this server. */
  readonly webSocketUrl: () => string;
  readonly changed: () => void;
}
