/**
 * The REST control plane protocol, `/api/v1/agents/*`. Field names and nullability are wire-exact
 * with the existing control plane; fields that it does not know (`timeout_seconds`, `error_code`,
 * `data`) are additive and optional there.
 */
import * as z from 'zod';
import { idOf } from './foreign-values.ts';

/** Largest body of either direction that is read, bytes. Commands may be as long as a message. */
export const REST_BODY_LIMIT_BYTES = 4 * 1024 * 1024;

/** Most commands taken from one answer; the rest comes with the next fetch. */
export const COMMANDS_PER_FETCH_MAX = 100;

/** Paths of the six calls, R1 to R6. */
export const REST_PATHS = {
  /** R1 POST Registration → 200/201, body ignored. */
  register: () => '/api/v1/agents/register',
  /** R2 POST Heartbeat → 200/204. */
  heartbeat: (agentId: string) => `/api/v1/agents/${encodeURIComponent(agentId)}/heartbeat`,
  /** R3 POST ClusterStatus → 200/204. */
  status: (agentId: string) => `/api/v1/agents/${encodeURIComponent(agentId)}/status`,
  /** R4 GET → 200 CommandsResponse; 404 means that commands are not offered. */
  commands: (agentId: string) => `/api/v1/agents/${encodeURIComponent(agentId)}/commands`,
  /** R5 POST CommandResult → 200/204. */
  result: (agentId: string, commandId: string) =>
    `/api/v1/agents/${encodeURIComponent(agentId)}/commands/${encodeURIComponent(commandId)}/result`,
  /** R6 GET without Authorization → 200. */
  health: () => '/api/v1/health',
} as const;

const labels = z.record(z.string(), z.string());
const timestamp = z.iso.datetime({ offset: true });

const AgentStatus = z.enum(['connected', 'disconnected', 'error', 'registering']);

/** R1. The token travels in the Authorization header only, never in the body. */
export const Registration = z.strictObject({
  id: z.string().min(1),
  name: z.string().min(1),
  cluster_name: z.string().min(1),
  version: z.string().min(1),
  /** Holds at least `hostname` and `agent.pipeops.io/version`. */
  labels,
  status: AgentStatus,
  last_seen: timestamp,
  /** Always empty: kept because the existing control plane expects the field. */
  control_plane_url: z.string(),
});
export type Registration = z.infer<typeof Registration>;

/**
 * Of a heartbeat: how the agent is; absent until it knows. Texts, so that any control plane can keep them
 * among the other metadata.
 */
export const HEARTBEAT_HEALTH = {
  health: z.enum(['ready', 'not ready']).optional(),
  /** Ids in the table of health (docs/TROUBLESHOOTING.md, "Health"), each once: `session,disk`. */
  problems: z.string().optional(),
};

/** R2. */
export const Heartbeat = z.strictObject({
  agent_id: z.string().min(1),
  cluster_name: z.string().min(1),
  status: AgentStatus,
  proxy_status: z.literal('direct'),
  timestamp,
  metadata: z.strictObject({ version: z.string(), ...HEARTBEAT_HEALTH }),
});
export type Heartbeat = z.infer<typeof Heartbeat>;

const Quantities = z.strictObject({ cpu: z.string().optional(), memory: z.string().optional() });

export const NodeStatus = z.strictObject({
  name: z.string(),
  ready: z.boolean(),
  /** Kubelet version. */
  version: z.string(),
  os: z.string(),
  arch: z.string(),
  labels: labels.optional(),
  resources: z.strictObject({ allocatable: Quantities, capacity: Quantities }),
});

export const ResourceInfo = z.strictObject({
  name: z.string(),
  namespace: z.string(),
  labels: labels.optional(),
  /** Deployment: ready replicas == wanted replicas. Service: always true. */
  ready: z.boolean(),
  created_at: timestamp,
});

export const PodInfo = ResourceInfo.extend({
  phase: z.string(),
  node_name: z.string(),
  containers: z.int().min(0),
  /** Sum over its containers. */
  restarts: z.int().min(0),
});

/** R3, and the data of `get_resources`. */
export const ClusterStatus = z.strictObject({
  nodes: z.array(NodeStatus).nullable(),
  namespaces: z.array(z.string()).nullable(),
  deployments: z.array(ResourceInfo).nullable(),
  services: z.array(ResourceInfo).nullable(),
  pods: z.array(PodInfo).nullable(),
  metrics: z.strictObject({
    /** Percent of the cluster's capacity, 0 where nothing measures it. */
    cpu_usage: z.number(),
    memory_usage: z.number(),
    pod_count: z.int().min(0),
    node_count: z.int().min(0),
  }),
  timestamp,
});
export type ClusterStatus = z.infer<typeof ClusterStatus>;
export type NodeStatus = z.infer<typeof NodeStatus>;
export type ResourceInfo = z.infer<typeof ResourceInfo>;
export type PodInfo = z.infer<typeof PodInfo>;

/**
 * One command as the control plane sends it. Unknown fields are let through (a newer server),
 * the payload is checked by the handler of its type.
 */
export const Command = z.looseObject({
  /** The idempotency key. */
  id: idOf(128),
  type: z.string().min(1).max(64),
  payload: z.record(z.string(), z.unknown()).nullish(),
  created_at: z.string().nullish(),
  /** Deadline from the moment it starts to run; the handler's own timeout when absent. */
  timeout_seconds: z.number().positive().max(86_400).nullish(),
  /** What caused it (W3C Trace Context), as text; of no effect where it cannot be read. */
  traceparent: z.unknown().optional(),
});
export type Command = z.infer<typeof Command>;

/** R4. Each entry is parsed on its own, so that one bad command does not stop the others. */
export const CommandsResponse = z.looseObject({
  commands: z.array(z.unknown()).nullish(),
});

/** R5. What happened to one command. */
export const CommandResult = z.strictObject({
  success: z.boolean(),
  /** Text for people, at most `COMMAND_OUTPUT_LIMIT_BYTES`. */
  output: z.string(),
  error: z.string().optional(),
  /** An error code of docs/TROUBLESHOOTING.md. */
  error_code: z.string().optional(),
  /** What the command type promises (docs/COMMANDS.md). */
  data: z.record(z.string(), z.unknown()).optional(),
  metadata: z.strictObject({
    attempts: z.int().min(0),
    started_at: timestamp.nullable(),
    finished_at: timestamp,
    duration_ms: z.number().min(0),
    /** The output was cut. */
    truncated: z.boolean(),
  }),
  /** Of the trace of what was done, where traces are made. */
  traceparent: z.string().optional(),
  timestamp,
});
export type CommandResult = z.infer<typeof CommandResult>;

/** One that another version of the agent may have made: it may have more fields. */
export const KnownResult = z.looseObject({
  ...CommandResult.shape,
  metadata: z.looseObject(CommandResult.shape.metadata.shape),
});

/** Largest `output` of a result, bytes of UTF-8. */
export const COMMAND_OUTPUT_LIMIT_BYTES = 1024 * 1024;
