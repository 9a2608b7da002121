/**
 * The one table of what can be asked of the agent over HTTP: a route is data. The server binds a handler to each
 * entry, docs/API.md and `/openapi.json` are made from it, and clients are typed by it.
 */
import type * as z from 'zod';
import {
  DashboardLink,
  DetailedHealth,
  HealthAnswer,
  LocalAccess,
  PolicyAnswer,
  ReadyAnswer,
  SessionAnswer,
  SettingsAnswer,
} from './local-api.ts';
import {
  EventsPage,
  NamespacesPage,
  NodesPage,
  NodeUsagePage,
  PodsPage,
  PodUsagePage,
  ResourcesPage,
  WorkloadSummary,
} from './local-cluster.ts';
import { CancelAnswer, CommandAnswer, CommandsAnswer } from './local-commands.ts';
import { CpuProfile, HeapSnapshot, ProfileQuery } from './local-debug.ts';
import { PolicyRules, RefusalsPage } from './local-policy.ts';
import {
  CommandPath,
  CommandsQuery,
  EventsQuery,
  LogLevelChange,
  NamespacesQuery,
  NodesQuery,
  NodeUsageQuery,
  NoQuery,
  PodLogQuery,
  PodsQuery,
  PodUsageQuery,
  RealtimeLogsQuery,
  RealtimeQuery,
  RefusalsQuery,
  ResourcesQuery,
  RoutesQuery,
  TunnelStreamsQuery,
  TunnelsQuery,
} from './local-queries.ts';
import { LogEvent, RealtimeEvent } from './local-realtime.ts';
import { RoutesPage, TunnelStreamsPage, TunnelsPage } from './local-routes.ts';
import {
  AliveAnswer,
  ConnectivityAnswer,
  DayAnswer,
  FeaturesAnswer,
  LogLevelAnswer,
  OpenApiAnswer,
  RuntimeAnswer,
  TextAnswer,
  VersionAnswer,
} from './local-status.ts';

/** What is told of a route. Its name is method and path; a part in braces takes one segment. */
interface Entry {
  /** `open`: for every user of this machine. Otherwise over the socket, or with the local token. */
  readonly access?: 'open';
  /** What it does, as a sentence. */
  readonly summary: string;
  /** Of path and query together; each value comes as text. */
  readonly params: z.ZodObject;
  /** Of a stream of events: what each may be, by its name. */
  readonly answer: z.ZodType;
  /** `text`: Prometheus' format, or lines. `events`: a stream of server-sent events. JSON when absent. */
  readonly format?: 'text' | 'events';
  /** Statuses beside 200 that carry the same answer. */
  readonly otherStatuses?: readonly number[];
}

const list = <Query extends z.ZodObject, Page extends z.ZodType>(
  what: string,
  params: Query,
  answer: Page,
) => ({ summary: `Lists ${what}, a page at a time.`, params, answer });

export const LOCAL_API = {
  'GET /health': {
    access: 'open',
    summary: 'The process is alive; it says nothing about anything else.',
    params: NoQuery,
    answer: AliveAnswer,
  },
  'GET /ready': {
    access: 'open',
    summary: 'Whether the agent can do its work, and why not.',
    params: NoQuery,
    answer: ReadyAnswer,
    otherStatuses: [503],
  },
  'GET /version': {
    access: 'open',
    summary: 'Which version runs.',
    params: NoQuery,
    answer: VersionAnswer,
  },
  'GET /metrics': {
    access: 'open',
    summary: 'Metrics in the text format of Prometheus: docs/METRICS.md.',
    params: NoQuery,
    answer: TextAnswer,
    format: 'text',
  },
  'GET /api/health': {
    summary: 'What is wrong, since when and how often, and what was wrong before.',
    params: NoQuery,
    answer: HealthAnswer,
  },
  'GET /api/health/detailed': {
    summary: 'Agent, session, nodes and commands: what `status` shows.',
    params: NoQuery,
    answer: DetailedHealth,
  },
  'GET /api/status/features': {
    summary: 'What this agent can do, as it is set up now.',
    params: NoQuery,
    answer: FeaturesAnswer,
  },
  'GET /api/status/connectivity': {
    summary: 'Whether what the agent depends on answers.',
    params: NoQuery,
    answer: ConnectivityAnswer,
  },
  'GET /api/metrics/runtime': {
    summary: 'What the process uses.',
    params: NoQuery,
    answer: RuntimeAnswer,
  },
  'GET /api/metrics/day': {
    summary: 'How busy the machine and the agent were over the last day, minute by minute.',
    params: NoQuery,
    answer: DayAnswer,
  },
  'GET /api/settings': {
    summary: 'The settings with which the agent was started.',
    params: NoQuery,
    answer: SettingsAnswer,
  },
  'GET /api/session': {
    summary: 'Reads the files of the session again, and tries at once where there is none.',
    params: NoQuery,
    answer: SessionAnswer,
  },
  'POST /api/dashboard/links': {
    summary: 'Makes a link to the page at /dashboard, for one use within 5 minutes.',
    params: NoQuery,
    answer: DashboardLink,
  },
  'GET /api/k8s/local-access': {
    summary: 'How kubectl reaches the cluster through the agent.',
    params: NoQuery,
    answer: LocalAccess,
  },
  'GET /api/policy': {
    summary: 'Reads the policy file again, and says whether it is in force.',
    params: NoQuery,
    answer: PolicyAnswer,
  },
  'GET /api/policy/rules': {
    summary: 'What the control plane and the proxy may do here, and which rule says so.',
    params: NoQuery,
    answer: PolicyRules,
  },
  'GET /api/policy/refusals': {
    summary:
      'What the policy has refused of late, also before a restart: the 200 newest that differ, a page at a time.',
    params: RefusalsQuery,
    answer: RefusalsPage,
  },
  'GET /api/log-level': {
    summary: 'How much the agent logs, and until when.',
    params: NoQuery,
    answer: LogLevelAnswer,
  },
  'POST /api/log-level': {
    summary: 'Changes how much the agent logs, for a while.',
    params: LogLevelChange,
    answer: LogLevelAnswer,
  },
  'GET /api/commands': {
    summary: 'Remote commands of the last 30 days, the newest first.',
    params: CommandsQuery,
    answer: CommandsAnswer,
  },
  'GET /api/commands/{id}': {
    summary: 'One remote command, with its progress or its result.',
    params: CommandPath,
    answer: CommandAnswer,
  },
  'POST /api/commands/{id}/cancel': {
    summary: 'Asks a remote command to stop. The control plane gets its result as ever.',
    params: CommandPath,
    answer: CancelAnswer,
  },
  'GET /api/realtime/events': {
    summary:
      'What happens, as it happens: health, session, commands, events of the cluster. Who comes back with `Last-Event-ID` goes on where it was.',
    params: RealtimeQuery,
    answer: RealtimeEvent,
    format: 'events',
  },
  'GET /api/realtime/logs': {
    summary: 'The log of the agent, as it is written.',
    params: RealtimeLogsQuery,
    answer: LogEvent,
    format: 'events',
  },
  'GET /api/k8s/summary': {
    summary: 'How many Deployments and pods there are, and which are not ready.',
    params: NoQuery,
    answer: WorkloadSummary,
  },
  'GET /api/k8s/nodes': list('the nodes', NodesQuery, NodesPage),
  'GET /api/k8s/namespaces': list('the namespaces', NamespacesQuery, NamespacesPage),
  'GET /api/k8s/deployments': list('Deployments', ResourcesQuery, ResourcesPage),
  'GET /api/k8s/services': list('Services', ResourcesQuery, ResourcesPage),
  'GET /api/k8s/pods': list('pods', PodsQuery, PodsPage),
  'GET /api/k8s/events': {
    summary:
      'Lists events, the newest first, a page at a time. At most 5 000 are read; where `truncated` is true there are more, and some may be newer.',
    params: EventsQuery,
    answer: EventsPage,
  },
  'GET /api/k8s/usage/nodes': list('what nodes use now', NodeUsageQuery, NodeUsagePage),
  'GET /api/k8s/usage/pods': list('what pods use now', PodUsageQuery, PodUsagePage),
  'GET /api/k8s/logs/{namespace}/{pod}': {
    summary:
      'What a container has written: lines, within the policy and without what looks like a secret. A line is cut at 64 KiB.',
    params: PodLogQuery,
    answer: TextAnswer,
    format: 'text',
  },
  'GET /api/routes': list('paths of hosts that lead to Services', RoutesQuery, RoutesPage),
  'GET /api/tunnels': {
    summary: 'Lists listeners of Gateways that lead to Services, and what goes through tunnels.',
    params: TunnelsQuery,
    answer: TunnelsPage,
  },
  'GET /api/tunnels/streams': list(
    'streams of tunnels that are open now, the newest first',
    TunnelStreamsQuery,
    TunnelStreamsPage,
  ),
  'GET /debug/profile': {
    summary:
      "Which code runs, as Chrome's DevTools read it (`.cpuprofile`). Only with `debug.profiling`.",
    params: ProfileQuery,
    answer: CpuProfile,
  },
  'GET /debug/heap': {
    summary:
      "What the memory holds, secrets among it, as Chrome's DevTools read it (`.heapsnapshot`). The agent stands still while it is made. Only with `debug.profiling`.",
    params: NoQuery,
    answer: HeapSnapshot,
  },
  'GET /openapi.json': {
    summary: 'This table, as OpenAPI 3.1.',
    params: NoQuery,
    answer: OpenApiAnswer,
  },
} as const satisfies Readonly<Record<`${'GET' | 'POST'} /${string}`, Entry>>;

type LocalApi = typeof LOCAL_API;
/** Method and path: `GET /api/commands/{id}`. */
export type RouteName = keyof LocalApi;

/** What a route answers; of a stream, each of its events. */
export type AnswerOf<Name extends RouteName> = z.output<LocalApi[Name]['answer']>;
/** What a handler is given: parameters that are checked, with their defaults. */
export type ParamsOf<Name extends RouteName> = z.output<LocalApi[Name]['params']>;
/** What a client gives: what has a default may be left out. */
export type GivenOf<Name extends RouteName> = Given<
  z.input<LocalApi[Name]['params']>,
  z.output<LocalApi[Name]['params']>
>;

type Given<Input, Output> = {
  readonly [Key in keyof Input & keyof Output as Key extends OptionalKeys<Input>
    ? never
    : Key]: Output[Key];
} & {
  readonly [Key in keyof Input & keyof Output as Key extends OptionalKeys<Input> ? Key : never]?:
    | Output[Key]
    | undefined;
};

type OptionalKeys<T> = {
  [Key in keyof T]-?: object extends Pick<T, Key> ? Key : never;
}[keyof T];
