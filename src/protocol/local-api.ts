/**
 * What the daemon says of itself on its socket and on loopback: the promise behind `--json`.
 *
 * The daemon that is asked may have any version. Fields that are not known here are left out;
 * fields that came later than 0.1.0 have a default; a word of a list that may grow is shown as it
 * is. So a field is never removed, and never changes its type. The compiler checks what our own
 * daemon says.
 */
import * as z from 'zod';

/** null where there is none, and from a daemon that does not tell it. */
function absent<T extends z.ZodType>(value: T) {
  return value.nullable().default(null);
}

/** One thing that keeps the agent from being ready, or that a person should know. */
export const Reason = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
});
export type Reason = z.infer<typeof Reason>;

/** GET /ready: 200 when ready, else 503. */
export const ReadyAnswer = z.object({
  ready: z.boolean(),
  reasons: z.array(Reason),
  /** Of a server that is ready to take over: `stands by; server-1 has the session`. */
  standby: z.string().optional(),
});
export type ReadyAnswer = z.infer<typeof ReadyAnswer>;

/**
 * GET /api/health, over the socket: the same as reasons and warnings, and for each which line of the table
 * of health it is (docs/TROUBLESHOOTING.md, "Health"), since when and how often.
 */
export const HealthAnswer = z.object({
  ready: z.boolean(),
  /** What a person should see now, the gravest first. */
  problems: z.array(
    Reason.extend({
      /** Id in the table of health: `session`. */
      warnable: z.string(),
      /** `blocks`, `warns`. */
      severity: z.string(),
      /** Which one, where there can be several: a node, a check. */
      about: z.string().nullable(),
      since: z.string(),
      /** How often something of this warnable was shown since the start of the agent. */
      times: z.int(),
    }),
  ),
  /** What was wrong since the start of the agent, at most 100, the newest first. */
  history: z.array(
    z.object({
      warnable: z.string(),
      about: z.string().nullable(),
      code: z.string(),
      message: z.string(),
      since: z.string(),
      /** null while it lasts. */
      until: z.string().nullable(),
    }),
  ),
});
export type HealthAnswer = z.infer<typeof HealthAnswer>;

/** `standalone`, `standby`, `registering`, `connected`, `refused`, `unreachable`. */
const SessionPhase = z.string();

/** The nodes of the cluster, as it sees them. */
export const ClusterNodes = z.object({
  total: z.int(),
  ready: z.int(),
  /** Those that are not ready first; not all of a large cluster. */
  list: z.array(
    z.object({
      name: z.string(),
      /** `server`, `worker`. */
      role: z.string(),
      ready: z.boolean(),
      /** For a node that is not ready: since when, and why. */
      since: z.string().nullable(),
      reason: z.string().nullable(),
      /** Whether it is the machine that answers. */
      self: z.boolean(),
    }),
  ),
});
export type ClusterNodes = z.infer<typeof ClusterNodes>;

/**
 * GET /api/health/detailed, over the socket. Fields that an older daemon does not send are
 * optional.
 */
export const DetailedHealth = z.object({
  agent: z.object({
    id: z.string(),
    /** The agent of the machine that this one is a copy of; only there: 0.1.0 takes no unknown field. */
    copy_of: z.string().optional(),
    version: z.string(),
    /** `server`, `node`. */
    role: z.string(),
    /** null on a worker: its server has the name. */
    cluster_name: absent(z.string()),
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
  server: z.object({ url: z.string(), trouble: z.string().nullable() }).nullable().optional(),
  /** Of the manifests that root has this server keep in the cluster; absent where there are none. */
  desired: z
    .object({
      files: z.int(),
      objects: z.int(),
      /** Objects that were brought back or removed since the start of the agent. */
      changes: z.int(),
      problems: z.int(),
      looked_at: z.string(),
    })
    .optional(),
  session: z.object({
    phase: SessionPhase,
    since: z.string(),
    /**
     * The node of the server that has the session; null where nobody knows. Only while this one stands by:
     * 0.1.0 takes no unknown field.
     */
    holder: z.string().nullable().optional(),
    /** null where there is none. */
    control_plane: absent(z.string()),
    /** `websocket`, `gateway` (which is one too), `rest`; null while nothing carries a session. */
    transport: absent(z.string()),
    /** Why it is this one, when it is not the preferred one. */
    transport_reason: absent(z.string()),
    /** Since when there is no session. */
    down_since: absent(z.string()),
    next_try: absent(z.string()),
    last_contact: absent(z.string()),
    last_error: absent(
      z.object({ code: z.string(), message: z.string(), hint: absent(z.string()) }),
    ),
  }),
  commands: z.object({
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
 * GET /api/policy, over the socket. The policy file is read again for each request: the answer
 * comes when the file, as it was at the request, is in force.
 */
export const PolicyAnswer = z.object({
  /** Why the file cannot be used, and everything is refused; null when it is in force. */
  problem: Reason.nullable(),
});
export type PolicyAnswer = z.infer<typeof PolicyAnswer>;

/**
 * GET /api/session, over the socket. Token, CA certificate and proxy credentials are read again for
 * each request, and where there is no session one is tried at once. So what is said of the session
 * from the answer on comes from files and tries no older than the request.
 */
export const SessionAnswer = z.object({ phase: SessionPhase });
export type SessionAnswer = z.infer<typeof SessionAnswer>;

/** POST /api/dashboard/links: a link to the page. */
export const DashboardLink = z.object({
  /** Whoever opens it first is signed in: it is a secret until then. */
  url: z.string(),
  expires_at: z.string(),
});
export type DashboardLink = z.infer<typeof DashboardLink>;

/** GET /api/settings, over the socket: what the running daemon was started with, by dotted path. */
export const SettingsAnswer = z.object({ settings: z.record(z.string(), z.unknown()) });
export type SettingsAnswer = z.infer<typeof SettingsAnswer>;

/** GET /api/k8s/local-access, over the socket: what `kubeconfig --local` is made of. */
export const LocalAccess = z.object({
  /** `https://127.0.0.1:8443/proxy` */
  server: z.url(),
  /** PEM: the certificate of the TLS listener. */
  certificate: z.string(),
  /** Holds the token; a restart of the daemon writes a new one, which kubectl then reads. */
  token_file: z.string(),
});
export type LocalAccess = z.infer<typeof LocalAccess>;
