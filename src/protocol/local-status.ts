/** What the local API tells of the agent for programs that watch it. */
import * as z from 'zod';

/** GET /health */
export const AliveAnswer = z.object({ status: z.literal('ok') });

/** GET and POST /api/log-level */
export const LogLevelAnswer = z.object({
  level: z.string(),
  /** What it is set to in the configuration. */
  configured: z.string(),
  /** When that is in force again; null while it is. */
  until: z.string().nullable(),
});
export type LogLevelAnswer = z.infer<typeof LogLevelAnswer>;

/** GET /version */
export const VersionAnswer = z.object({ version: z.string(), commit: z.string() });

/** GET /api/status/features: what this agent can do, as it is set up now. */
export const FeaturesAnswer = z.object({
  features: z.object({
    /** Reads and changes of the Kubernetes API through the agent. */
    k8s_api: z.boolean(),
    real_time_proxy: z.boolean(),
    /** TCP and UDP from the control plane to applications. */
    tunnel: z.boolean(),
    metrics: z.boolean(),
    health_monitoring: z.boolean(),
    runtime_metrics: z.boolean(),
    /** Of the agent. */
    feature_version: z.string(),
  }),
  /** Types of remote commands that it knows; none on a worker. */
  commands: z.array(z.string()),
  timestamp: z.string(),
});
export type FeaturesAnswer = z.infer<typeof FeaturesAnswer>;

const Tested = z.object({
  /** Whether it answers. */
  status: z.boolean(),
  /** Why not. */
  error: z.string().nullable(),
});

/** GET /api/status/connectivity: whether what the agent depends on answers. */
export const ConnectivityAnswer = z.object({
  /** `healthy`, `degraded`. */
  overall_status: z.string(),
  tests: z.object({
    /** On a worker: whether a server of its cluster answers. */
    kubernetes_api: Tested,
    /** null where there is none: standalone, and on a worker. */
    control_plane: Tested.extend({
      /** `websocket`, `gateway`, `rest`; null while nothing carries a session. */
      method: z.string().nullable(),
    }).nullable(),
  }),
  timestamp: z.string(),
});
export type ConnectivityAnswer = z.infer<typeof ConnectivityAnswer>;

/** GET /api/metrics/runtime */
export const RuntimeAnswer = z.object({
  memory: z.object({
    rss_bytes: z.int(),
    heap_used_bytes: z.int(),
    heap_total_bytes: z.int(),
    external_bytes: z.int(),
  }),
  /** Processor time of the whole process, ms. */
  cpu_ms: z.number(),
  runtime: z.object({ name: z.string(), version: z.string() }),
  uptime_seconds: z.number(),
  timestamp: z.string(),
});
export type RuntimeAnswer = z.infer<typeof RuntimeAnswer>;

const OverTime = z.array(z.number().nullable());

/** GET /api/metrics/day: how busy it was over the last day; each list has a value for each time, null for a gap. */
export const DayAnswer = z.object({
  /** Between two of them. */
  step_seconds: z.int(),
  /** Unix seconds, the oldest first; at most 1440. */
  times: z.array(z.int()),
  /** Of all processors of the machine. */
  cpu_percent: OverTime,
  /** In use on the machine. */
  memory_bytes: OverTime,
  /** Requests through the agent to Kubernetes and applications that have ended, streams left out. */
  requests_per_second: OverTime,
  /** How long those took, on average. */
  latency_ms: OverTime,
});
export type DayAnswer = z.infer<typeof DayAnswer>;

/** Every refusal and error of the local API (RFC 9457), as application/problem+json. */
export const Problem = z.object({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.int(),
  /** What was refused, as a sentence. */
  detail: z.string(),
  /** Of docs/TROUBLESHOOTING.md. */
  code: z.string(),
  hint: z.string().optional(),
  /** The same id as in the header `X-Request-Id` and in the log. */
  request_id: z.string(),
  /** As before there was `code`. */
  error: z.object({ code: z.string(), message: z.string() }),
});
export type Problem = z.infer<typeof Problem>;

export const TextAnswer = z.string();
export const OpenApiAnswer = z.looseObject({ openapi: z.literal('3.1.1') });
export type OpenApiAnswer = z.infer<typeof OpenApiAnswer>;
