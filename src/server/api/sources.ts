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
import type { CommandsQuery } from '../../protocol/local-queries.ts';
import type {
  ConnectivityAnswer,
  DayAnswer,
  FeaturesAnswer,
  RuntimeAnswer,
} from '../../protocol/local-status.ts';

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
  readonly features: () => Promise<FeaturesAnswer>;
  readonly connectivity: (signal: AbortSignal) => Promise<ConnectivityAnswer>;
  readonly runtime: () => RuntimeAnswer;
  readonly day: () => DayAnswer;
  /** Makes a link to the page that can be opened once. */
  readonly dashboardLink: () => DashboardLink;
  readonly commands: CommandSource;
  /** How kubectl gets through the TLS listener. Absent on a worker. */
  readonly access?: () => LocalAccess;
  /** Absent on a worker: it has no credentials for the Kubernetes API. */
  readonly cluster?: ClusterSource;
}

export interface CommandSource {
  list(query: CommandsQuery): CommandsAnswer;
  /** Undefined where no such command is remembered. */
  find(id: string): CommandAnswer | undefined;
  /** Durable when it resolves. Undefined where no such command is remembered. */
  cancel(id: string): Promise<CancelAnswer | undefined>;
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
