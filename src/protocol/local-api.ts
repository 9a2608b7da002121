/** What the daemon says of itself on its socket and on loopback: the promise behind `--json`. */
import * as z from 'zod';

/** One thing that keeps the agent from being ready, or that a person should know. */
export const Reason = z.strictObject({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
});
export type Reason = z.infer<typeof Reason>;

/** GET /ready: 200 when ready, else 503. */
export const ReadyAnswer = z.strictObject({
  ready: z.boolean(),
  reasons: z.array(Reason),
});
export type ReadyAnswer = z.infer<typeof ReadyAnswer>;

const SessionPhase = z.enum(['standalone', 'registering', 'connected', 'refused', 'unreachable']);

/** The nodes of the cluster, as it sees them. */
export const ClusterNodes = z.strictObject({
  total: z.int(),
  ready: z.int(),
  /** Those that are not ready first; not all of a large cluster. */
  list: z.array(
    z.strictObject({
      name: z.string(),
      role: z.enum(['server', 'worker']),
      ready: z.boolean(),
      /** Of one that is not ready: since when, and why. */
      since: z.string().nullable(),
      reason: z.string().nullable(),
      /** Whether it is the machine that answers. */
      self: z.boolean(),
    }),
  ),
});
export type ClusterNodes = z.infer<typeof ClusterNodes>;

/** GET /api/health/detailed, over the socket. Optional is what an older daemon does not tell. */
export const DetailedHealth = z.strictObject({
  agent: z.strictObject({
    id: z.string(),
    version: z.string(),
    role: z.enum(['server', 'node']),
    /** null on a worker: its server has the name. */
    cluster_name: z.string().nullable(),
    pid: z.int(),
    uptime_seconds: z.number(),
    memory_rss_bytes: z.number(),
  }),
  ready: z.boolean(),
  reasons: z.array(Reason),
  /** What is wrong in the cluster although this agent is ready: another node. */
  warnings: z.array(Reason).optional(),
  /** On a server; null while they are not known. */
  nodes: ClusterNodes.nullable().optional(),
  /** On a worker; null where it is not known which one it joined. */
  server: z.strictObject({ url: z.string(), trouble: z.string().nullable() }).nullable().optional(),
  session: z.strictObject({
    phase: SessionPhase,
    since: z.string(),
    /** null where there is none. */
    control_plane: z.string().nullable(),
    /** null while nothing carries a session; a gateway is a WebSocket too. */
    transport: z.enum(['websocket', 'gateway', 'rest']).nullable(),
    /** Why it is this one, when it is not the preferred one. */
    transport_reason: z.string().nullable(),
    /** Since when there is no session. */
    down_since: z.string().nullable(),
    next_try: z.string().nullable(),
    last_contact: z.string().nullable(),
    last_error: z
      .strictObject({ code: z.string(), message: z.string(), hint: z.string().nullable() })
      .nullable(),
  }),
  commands: z.strictObject({
    accepted: z.int(),
    running: z.int(),
    undelivered: z.int(),
    succeeded: z.int(),
    failed: z.int(),
  }),
  timestamp: z.string(),
});
export type DetailedHealth = z.infer<typeof DetailedHealth>;

/**
 * GET /api/policy, over the socket. The policy file is read again for it: when the answer comes, the
 * file as it was at the question is in force.
 */
export const PolicyAnswer = z.strictObject({
  /** Why the file cannot be used, and everything is refused; null when it is in force. */
  problem: Reason.nullable(),
});
export type PolicyAnswer = z.infer<typeof PolicyAnswer>;

/**
 * GET /api/session, over the socket. Token, CA certificate and proxy credentials are read again for
 * it, and where there is no session one is tried at once: what is said of the session from the answer
 * on is of files and tries no older than the question.
 */
export const SessionAnswer = z.strictObject({ phase: SessionPhase });
export type SessionAnswer = z.infer<typeof SessionAnswer>;

/** GET /api/settings, over the socket: what the running daemon was started with, by dotted path. */
export const SettingsAnswer = z.strictObject({ settings: z.record(z.string(), z.unknown()) });
export type SettingsAnswer = z.infer<typeof SettingsAnswer>;

/** GET /api/k8s/local-access, over the socket: what `kubeconfig --local` is made of. */
export const LocalAccess = z.strictObject({
  /** `https://127.0.0.1:8443/proxy` */
  server: z.url(),
  /** PEM: the certificate of the TLS listener. */
  certificate: z.string(),
  /** Holds the token; a restart of the daemon writes a new one, which kubectl then reads. */
  token_file: z.string(),
});
export type LocalAccess = z.infer<typeof LocalAccess>;
