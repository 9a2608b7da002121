/** What a session needs from the rest of the agent, and what the rest may do with a session. */

import type { Command, CommandResult, Heartbeat } from '../../protocol/rest.ts';
import type {
  CommandProgressPayload,
  Envelope,
  StatusReportPayload,
} from '../../protocol/session/messages.ts';

/** Where commands go. */
export interface CommandInbox {
  /** Durable before it resolves. */
  accept(command: Command): Promise<'accepted' | 'duplicate' | 'full'>;
  /** Asks a command to stop; durable before it resolves. */
  cancel(commandId: string): Promise<'cancelling' | 'finished' | 'unknown'>;
}

/** Where results come from. */
export interface ResultOutbox {
  /** Results that no control plane has taken yet, oldest first. */
  pending(limit: number): readonly { readonly commandId: string; readonly result: CommandResult }[];
  /** The control plane has it; durable before it resolves. */
  delivered(commandId: string): Promise<void>;
  /** Resolves when a result became pending, or at the signal. */
  whenPending(signal: AbortSignal): Promise<void>;
}

/** News of running commands: only the newest of each command is kept. */
export interface ProgressFeed {
  /** The news since the last call. */
  take(): readonly CommandProgressPayload[];
  /** Resolves when there is something to take, or at the signal. */
  whenProgress(signal: AbortSignal): Promise<void>;
}

/** Whether this stop is for good, so that the last heartbeat says so; asked at the end of a session. */
export type IsLeaving = () => Promise<boolean>;

/** The state of the cluster for reports. */
export interface StatusSource {
  /** The seed's ClusterStatus as JSON text in pieces: a large one never blocks. */
  fullJson(signal: AbortSignal): Promise<AsyncIterable<string>>;
  /** Reports for one connection to a peer that understands deltas. */
  reports(): StatusReports;
  /** For heartbeats: what is known now, without asking anyone. */
  summary(): StatusSummary;
}

export interface StatusReports {
  /**
   * The next report: full at first, after `reset` and every FULL_REPORT_INTERVAL_MS; a delta when
   * little changed; several payloads when it does not fit into one.
   */
  next(signal: AbortSignal): Promise<AsyncIterable<StatusReportPayload>>;
  /** The peer cannot follow the deltas any more: the next report is a full one. */
  reset(): void;
}

export interface StatusSummary {
  /** Empty while unknown. */
  readonly kubernetesVersion: string;
  readonly nodes: number;
  readonly pods: number;
  /** Percent of the cluster's capacity; 0 where nothing measures it. */
  readonly cpuPercent: number;
  readonly memoryPercent: number;
}

/** How the agent is, for heartbeats; nothing until it knows. */
export type TellableHealth = Pick<Heartbeat['metadata'], 'health' | 'problems'>;

/** How this cluster stands to the world, for heartbeats: what is known now, without asking anyone. */
export interface Standing {
  /** Nobody on the internet reaches this machine. */
  readonly isPrivate: boolean;
  /** Hosts and ports that lead from outside to Services. */
  readonly routes: number;
  readonly health: TellableHealth;
}

/** One live connection, for the data plane. */
export interface SessionLink {
  readonly kind: 'controller' | 'gateway';
  /** Ids that the control plane gave at registration. */
  readonly clusterId: string;
  readonly clusterUuid: string;
  /** Both sides announced `supports_flow_control`: proxied bodies keep to windows. */
  readonly windowed: boolean;
  /** Sends `{type, request_id, payload, timestamp}`; false when the connection is gone. */
  send(type: string, payload: Readonly<Record<string, unknown>>, requestId?: string): boolean;
  /**
   * Sends all parts as one message; they may be reused after it returned. False when the connection
   * is gone.
   */
  sendBinary(parts: readonly Uint8Array[]): boolean;
  /** Bytes that were handed over to be sent but have not left this process. */
  bufferedBytes(): number;
  /** Whether a proxied request with this token may use the agent's own account. */
  acceptsServiceToken(token: string): boolean;
}

/** What runs over a session beside the session's own messages: proxy and tunnel. */
export interface DataPlane {
  /** Message types that it takes. */
  readonly types: readonly string[];
  attach(link: SessionLink): AttachedDataPlane;
}

export interface AttachedDataPlane {
  message(envelope: Envelope): void;
  /** The data may be reused when it has returned. */
  binary(data: Uint8Array): void;
  /**
   * Refuses everything new from now on, and ends properly the streams that would never end by
   * themselves; other requests under way go on.
   */
  goAway(): void;
  /** Requests and streams that have not ended. */
  underWay(): number;
  /** The connection is gone. */
  close(): void;
}

/** What is kept of a registration, and survives a restart. */
export interface RememberedSession {
  readonly clusterId: string;
  readonly clusterUuid: string;
  readonly supportsCommands: boolean;
  readonly supportsStatusReports: boolean;
  readonly supportsFlowControl: boolean;
  /** SHA-256 of the service token, in hex. */
  readonly serviceTokenHash: string;
}

/** Of one control plane: another address has another memory. */
export interface SessionMemory {
  read(): RememberedSession | undefined;
  /** Durable when it returns. */
  write(session: RememberedSession): void;
}
