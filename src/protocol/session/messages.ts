/**
 * The WebSocket control plane protocol, `/api/v1/clusters/agent/ws`: one JSON envelope a text
 * message. Field names and nullability are wire-exact with the existing control plane. What ours
 * adds is announced (`features` of `register` and of `register_success`) and never sent to a peer
 * that did not announce it.
 *
 * Conversation: agent `register` → peer `register_in_progress`* → `register_success` (same
 * request_id) or `error`. With `gateway_ws_url` in it the agent closes this connection and dials
 * that address, without a second register. Then heartbeats, and whatever the data plane speaks.
 */
import * as z from 'zod';
import { MANIFEST_LIMIT_BYTES } from '../commands/apply.ts';
import { idOf, Seconds } from '../foreign-values.ts';
import { ClusterStatus, CommandResult, HEARTBEAT_HEALTH } from '../rest.ts';

/** Path of the controller's WebSocket; it replaces the path of the control plane's address. */
export const WEBSOCKET_PATH = '/api/v1/clusters/agent/ws';

/**
 * Largest message that an agent takes, bytes; a larger one closes the connection. As JSON, a
 * manifest has twice its size when every character is escaped (quotes and line ends, in YAML a few
 * percent); so have the three bytes of a CJK character as `\uXXXX`. The rest is room for the fields
 * around it.
 */
export const MESSAGE_LIMIT_BYTES = 2 * MANIFEST_LIMIT_BYTES + 64 * 1024;

/** Largest message that an agent sends, bytes: results and reports are made to fit. */
export const AGENT_MESSAGE_LIMIT_BYTES = 4 * 1024 * 1024;

/** Close codes (RFC 6455 section 7.4.1; 4000 and above are free for applications). */
export const CLOSE_CODES = {
  normal: 1000,
  goingAway: 1001,
  /** Never sent: the connection ended without a close frame. */
  abnormal: 1006,
  messageTooBig: 1009,
  /** The peer answered no ping in time. */
  silent: 4000,
  /** A new session takes over; nothing is lost. */
  replaced: 4001,
} as const;

/** What surrounds every message. Unknown fields are let through: a newer peer may send them. */
export const Envelope = z.looseObject({
  type: z.string().min(1).max(64),
  request_id: z
    .union([z.string(), z.int().transform(String)])
    .pipe(z.string().max(256))
    .optional(),
  payload: z.record(z.string(), z.unknown()).nullish(),
  timestamp: z.string().max(64).nullish(),
});
export type Envelope = z.infer<typeof Envelope>;

const text = z.string();
const labels = z.record(z.string(), z.string());
const count = z.int().min(0);
const timestamp = z.iso.datetime({ offset: true });

/** What this agent understands beside the protocol of the existing control plane. */
export const AgentFeatures = z.strictObject({
  supports_streaming: z.boolean(),
  supports_binary_protocol: z.boolean(),
  supports_compression: z.boolean(),
  supports_websocket_proxy: z.boolean(),
  supports_gateway: z.boolean(),
  supports_response_streaming: z.boolean(),
  /** Ours: the `command*` messages. */
  supports_commands: z.boolean(),
  /** Ours: `status_report`. */
  supports_status_reports: z.boolean(),
  /** Ours: `proxy_window`. */
  supports_flow_control: z.boolean(),
});
export type AgentFeatures = z.infer<typeof AgentFeatures>;

/** agent → controller. */
export const RegisterPayload = z.strictObject({
  agent_id: text.min(1),
  /** Name of the cluster. */
  name: text.min(1),
  /** Version of the API server; empty while unknown. */
  k8s_version: text,
  hostname: text,
  agent_version: text,
  server_ip: text,
  region: text,
  /** `agent` while unknown. */
  cloud_provider: text,
  tunnel_port_config: z.strictObject({
    kubernetes_api: z.int(),
    kubelet: z.int(),
    agent_http: z.int(),
  }),
  /** Holds at least `hostname` and `agent.pipeops.io/version`. */
  labels,
  server_specs: z.strictObject({
    cpu_cores: z.int().optional(),
    memory_gb: z.int().optional(),
    disk_gb: z.int().optional(),
    os: text.optional(),
  }),
  features: AgentFeatures,
  metadata: z
    .record(z.string(), z.string())
    .refine((each) => each['agent_mode'] === 'vm-agent', 'agent_mode must be vm-agent'),
  /** The id of an earlier registration. */
  cluster_id: text.optional(),
  /**
   * Never a token of the cluster: a random credential of this registration, valid until the next
   * successful one, that the agent itself checks.
   */
  k8s_service_token: text.optional(),
});
export type RegisterPayload = z.infer<typeof RegisterPayload>;

/** Ours: the pace that the peer wants. What is absent or of a wrong type stays as it is. */
const Pace = z.looseObject({
  heartbeat_seconds: Seconds.optional().catch(undefined),
  status_seconds: Seconds.optional().catch(undefined),
  /**
   * For a large fleet: an agent that loses its connection draws its first dial from this many
   * seconds, and dials once in each such period while the peer is away, so that a restart is not
   * answered by all agents at once. Absent or 0: dial at once, with the agent's own backoff.
   */
  reconnect_spread_seconds: Seconds.optional().catch(undefined),
});
export type Pace = z.infer<typeof Pace>;

/**
 * controller → agent, with the request_id of the register. Only `cluster_id` is needed; an optional
 * field of a wrong type counts as absent.
 */
export const RegisterSuccessPayload = z.looseObject({
  cluster_id: idOf(256),
  cluster_uuid: idOf(256).optional().catch(undefined),
  name: text.optional().catch(undefined),
  status: text.optional().catch(undefined),
  gateway_ws_url: text.optional().catch(undefined),
  workspace_id: z.number().optional().catch(undefined),
  /** Ours: what the peer understands, and the pace that it wants. */
  features: z
    .looseObject({
      supports_commands: z.boolean().optional().catch(undefined),
      supports_status_reports: z.boolean().optional().catch(undefined),
      supports_flow_control: z.boolean().optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
  pace: Pace.optional().catch(undefined),
});
export type RegisterSuccessPayload = z.infer<typeof RegisterSuccessPayload>;

/** agent → controller or gateway; without request_id. */
export const HeartbeatPayload = z.strictObject({
  cluster_id: text,
  agent_id: text,
  status: z.enum(['healthy', 'reconnecting', 'disconnected']),
  tunnel_status: z.enum(['connected', 'disconnected']),
  metadata: z.strictObject({
    agent_version: text,
    k8s_version: text,
    k8s_nodes: count,
    k8s_pods: count,
    /** With the sign: `12%`. */
    cpu_usage: text,
    memory_usage: text,
    is_private: z.boolean(),
    gateway_routes: count,
    /** Only to a peer that announced `supports_status_reports`. */
    ...HEARTBEAT_HEALTH,
  }),
});
export type HeartbeatPayload = z.infer<typeof HeartbeatPayload>;

/** controller → agent. Its payload is free, but `pace` and `retry_after_seconds` are obeyed. */
export const HeartbeatAckPayload = z.looseObject({
  pace: Pace.optional().catch(undefined),
});

/** controller → agent. With the request_id of a register it answers that; else it stands alone. */
export const ErrorPayload = z.looseObject({
  error: text.catch(''),
  /** Ours: how long to stay away. */
  retry_after_seconds: Seconds.optional().catch(undefined),
});

/** agent → peer, at the first message of each unknown type. */
export const ProtocolFallbackPayload = z.strictObject({
  agent_version: text,
  unknown_type: text,
  supported_types: z.array(text),
  fallback_mode: z.literal('legacy_proxy'),
  protocol_version: z.literal('1.0'),
  timestamp,
  original_request_id: text.optional(),
});
export type ProtocolFallbackPayload = z.infer<typeof ProtocolFallbackPayload>;

// --- Our extension: commands and status on the same connection ---

/**
 * `command_ack`, in both directions. agent → peer, of a command or a cancel: it is committed.
 * peer → agent, of a result: it is kept, and need not be sent again.
 */
export const CommandAckPayload = z.strictObject({
  id: idOf(128),
  of: z.enum(['command', 'result', 'cancel']),
  /**
   * accepted: it will run. duplicate: known already; a finished one has its result sent again.
   * full: not taken, send it later. cancelling: asked to stop. finished: too late, the result
   * comes. unknown: no such command here. kept: of a result.
   */
  outcome: z.enum(['accepted', 'duplicate', 'full', 'cancelling', 'finished', 'unknown', 'kept']),
});
export type CommandAckPayload = z.infer<typeof CommandAckPayload>;

/** … as read from a control plane, which may say more. */
export const ResultAckPayload = z.looseObject({
  ...CommandAckPayload.shape,
  of: z.literal('result'),
});

/** agent → peer: `command_progress`. May be lost; only the newest of a command matters. */
export const CommandProgressPayload = z.strictObject({
  id: text.min(1).max(128),
  /** Counts up from 1 in each attempt. */
  sequence: z.int().min(1),
  attempt: z.int().min(1),
  message: text.max(1_000),
  /** Facts for machines, e.g. `{ready: 1, wanted: 3}`. */
  data: z.record(z.string(), z.unknown()).optional(),
  timestamp,
});
export type CommandProgressPayload = z.infer<typeof CommandProgressPayload>;

/** agent → peer: `command_result`. Sent again until it is acknowledged. */
export const CommandResultPayload = z.strictObject({
  id: text.min(1).max(128),
  result: CommandResult,
});
export type CommandResultPayload = z.infer<typeof CommandResultPayload>;

/** peer → agent: `command_cancel`. */
export const CommandCancelPayload = z.looseObject({ id: idOf(128) });

/** Objects of one kind in a report: those that are new or changed, and names of those that went. */
const lists = {
  nodes: ClusterStatus.shape.nodes.unwrap().optional(),
  namespaces: z.array(text).optional(),
  deployments: ClusterStatus.shape.deployments.unwrap().optional(),
  services: ClusterStatus.shape.services.unwrap().optional(),
  pods: ClusterStatus.shape.pods.unwrap().optional(),
};

/**
 * agent → peer: `status_report`. A full report comes in `parts` messages, 1 to n, each below the
 * message limit; it replaces what the peer knew when its last part is there. A delta, which may
 * come in parts too, applies to the report with the sequence `base`; a peer that does not know that
 * report asks with `status_request`. A list that is absent from a full report is unknown, not
 * empty.
 */
export const StatusReportPayload = z.strictObject({
  kind: z.enum(['full', 'delta']),
  /** Counts up by one with each report of a connection, from 1. */
  sequence: z.int().min(1),
  /** Of a delta: the sequence that it applies to. */
  base: z.int().min(1).optional(),
  part: z.int().min(1),
  parts: z.int().min(1),
  changed: z.strictObject(lists),
  /** `name` of nodes and namespaces, `namespace/name` of the rest. Empty in a full report. */
  removed: z.strictObject({
    nodes: z.array(text).optional(),
    namespaces: z.array(text).optional(),
    deployments: z.array(text).optional(),
    services: z.array(text).optional(),
    pods: z.array(text).optional(),
  }),
  metrics: ClusterStatus.shape.metrics,
  timestamp,
});
export type StatusReportPayload = z.infer<typeof StatusReportPayload>;

/** Types that the session itself understands, whatever its data plane adds. */
export const SESSION_MESSAGE_TYPES = [
  'register_success',
  'register_in_progress',
  'heartbeat_ack',
  'ping',
  'pong',
  'error',
  'command',
  'command_ack',
  'command_cancel',
  'status_request',
] as const;
