import type { LogLevel } from '../../core/ports.ts';
import type {
  DashboardLink,
  DetailedHealth,
  HealthAnswer,
  LocalAccess,
  PolicyAnswer,
  ReadyAnswer,
  SessionAnswer,
  SettingsAnswer,
} from '../../protocol/local-api.ts';
import type { ClusterRows, KnownRows } from '../../protocol/local-cluster.ts';
import type { CancelAnswer, CommandAnswer, CommandsAnswer } from '../../protocol/local-commands.ts';
import type { CpuProfile, ProfileQuery } from '../../protocol/local-debug.ts';
import type { PolicyRules, RefusalRow } from '../../protocol/local-policy.ts';
import type { CommandsQuery, LogLevelChange, PodLogQuery } from '../../protocol/local-queries.ts';
import type {
  RouteRow,
  TunnelRow,
  TunnelStreamRow,
  TunnelStreams,
} from '../../protocol/local-routes.ts';
import type {
  ConnectivityAnswer,
  DayAnswer,
  FeaturesAnswer,
  LogLevelAnswer,
  RuntimeAnswer,
} from '../../protocol/local-status.ts';
import type { ApiStream } from './stream.ts';

export interface MetricsAnswer {
  /** Its content type, with its version. */
  readonly type: string;
  readonly text: string;
}

/** What the routes show; every value is read when it is asked for. */
export interface ApiSources {
  readonly version: { readonly version: string; readonly commit: string };
  readonly ready: (signal: AbortSignal) => Promise<ReadyAnswer>;
  /** @param accept which formats the caller reads, as its header says */
  readonly metrics: (accept: string) => Promise<MetricsAnswer>;
  readonly health: (signal: AbortSignal) => Promise<HealthAnswer>;
  readonly detailed: (signal: AbortSignal) => Promise<DetailedHealth>;
  /** Reads the policy file again, and puts it in force. */
  readonly policy: () => Promise<PolicyAnswer>;
  /** Reads the session's files again, and tries at once. */
  readonly session: () => Promise<SessionAnswer>;
  /** The settings that the daemon was started with. None of them is a secret. */
  readonly settings: () => SettingsAnswer;
  /** Of the policy in force. */
  readonly policyRules: () => Promise<PolicyRules>;
  /** The newest first. */
  readonly refusals: () => readonly RefusalRow[];
  readonly features: () => Promise<FeaturesAnswer>;
  readonly connectivity: (signal: AbortSignal) => Promise<ConnectivityAnswer>;
  readonly runtime: () => RuntimeAnswer;
  readonly day: () => DayAnswer;
  /** Makes a link to the page that can be opened once. */
  readonly dashboardLink: () => DashboardLink;
  readonly logLevel: () => LogLevelAnswer;
  /** It goes back by itself. */
  readonly changeLogLevel: (change: LogLevelChange) => LogLevelAnswer;
  readonly commands: CommandSource;
  /** Absent where it is off. */
  readonly profiling?: ProfilingSource;
  readonly realtime: RealtimeSource;
  /** How kubectl gets through the TLS listener. Absent on a worker. */
  readonly access?: () => LocalAccess;
  /** Absent on a worker: it has no credentials for the Kubernetes API. */
  readonly cluster?: ClusterSource;
  /** Absent on a worker. */
  readonly podLogs?: PodLogSource;
  /** Absent on a worker. */
  readonly routes?: RouteSource;
}

/** Where the running program spends its time and memory. */
export interface ProfilingSource {
  /** Ends early at the signal. @throws AgentError BUSY */
  cpuProfile(query: ProfileQuery, signal: AbortSignal): Promise<CpuProfile>;
  /** @throws AgentError BUSY, also where the heap is too large */
  heap(): ApiStream;
}

/** What happens, as it happens. */
export interface RealtimeSource {
  /**
   * @param lastId of the newest event that the reader knows
   * @throws AgentError TOO_MANY_REQUESTS, SHUTTING_DOWN
   */
  events(query: StreamQuery): ApiStream;
  /**
   * The agent's own log.
   * @param tail newest lines that come first
   * @throws the same
   */
  logs(query: StreamQuery & { readonly level: LogLevel; readonly tail: number }): ApiStream;
}

interface StreamQuery {
  readonly follow: boolean;
  readonly lastId: string | undefined;
}

export interface CommandSource {
  list(query: CommandsQuery): CommandsAnswer;
  /** Undefined where no such command is remembered. */
  find(id: string): CommandAnswer | undefined;
  /** Durable when it resolves. Undefined where no such command is remembered. */
  cancel(id: string): Promise<CancelAnswer | undefined>;
}

/** The ways into the cluster. */
export interface RouteSource {
  /** @throws AgentError KUBERNETES_API while they are not known */
  routes(): { readonly rows: readonly RouteRow[]; readonly leftOut: number };
  /** @throws the same */
  tunnels(): readonly TunnelRow[];
  streams(): TunnelStreams;
  /** Each that is open now. */
  openStreams(): readonly TunnelStreamRow[];
}

/** Of what containers write. */
export interface PodLogSource {
  /**
   * Within the policy, and without what looks like a secret.
   * @throws AgentError POLICY_DENIED, NOT_FOUND, NOT_RUNNING, COMMAND_INVALID, KUBERNETES_API, TOO_MANY_REQUESTS
   */
  open(query: PodLogQuery, signal: AbortSignal): Promise<ApiStream>;
}

export type ClusterKind = keyof ClusterRows;

export interface ClusterSource {
  /**
   * All rows of a kind; of events 5 000 at most, which Kubernetes gives by namespace and name, not by age.
   * @param namespace events of others are not read; other kinds have all their rows all the same
   * @throws AgentError KUBERNETES_API while they are not known
   */
  rows<Kind extends ClusterKind>(
    kind: Kind,
    signal: AbortSignal,
    namespace?: string,
  ): Promise<KnownRows<ClusterRows[Kind]>>;
}
