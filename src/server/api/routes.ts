/**
 * The one table of what can be asked of the agent over HTTP. docs/API.md and `/openapi.json` are made from
 * it. It is loaded with the first request that needs it.
 */
import { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import {
  DashboardLink,
  DetailedHealth,
  HealthAnswer,
  LocalAccess,
  PolicyAnswer,
  ReadyAnswer,
  SessionAnswer,
  SettingsAnswer,
} from '../../protocol/local-api.ts';
import { CancelAnswer, CommandAnswer, CommandsAnswer } from '../../protocol/local-commands.ts';
import { PolicyRules, type RefusalRow, RefusalsPage } from '../../protocol/local-policy.ts';
import {
  CommandPath,
  CommandsQuery,
  LogLevelChange,
  NoQuery,
  RealtimeLogsQuery,
  RealtimeQuery,
  RefusalsQuery,
} from '../../protocol/local-queries.ts';
import { LogEvent, RealtimeEvent } from '../../protocol/local-realtime.ts';
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
} from '../../protocol/local-status.ts';
import { clusterRoutes, notServer } from './cluster-routes.ts';
import { debugRoutes } from './debug-routes.ts';
import { openApi } from './openapi.ts';
import { pageOf } from './page.ts';
import { type DocumentedRoute, documented, type Route, route, streamRoute } from './route.ts';
import { wayRoutes } from './way-routes.ts';

/** Answered by open-routes.ts. */
const OPEN_ROUTES: readonly DocumentedRoute[] = [
  documented({
    path: '/health',
    access: 'open',
    summary: 'The process is alive; it says nothing about anything else.',
    params: NoQuery,
    answer: AliveAnswer,
  }),
  documented({
    path: '/ready',
    access: 'open',
    summary: 'Whether the agent can do its work, and why not.',
    params: NoQuery,
    answer: ReadyAnswer,
    otherStatuses: [503],
  }),
  documented({
    path: '/version',
    access: 'open',
    summary: 'Which version runs.',
    params: NoQuery,
    answer: VersionAnswer,
  }),
  documented({
    path: '/metrics',
    access: 'open',
    summary: 'Metrics in the text format of Prometheus: docs/METRICS.md.',
    params: NoQuery,
    answer: TextAnswer,
    format: 'text',
  }),
];

/** All that needs the socket or the token. */
export function apiRoutes(deps: { readonly clock: Clock }): readonly Route[] {
  return [
    ...statusRoutes(),
    ...policyRoutes(deps),
    ...logLevelRoutes(),
    ...commandRoutes(),
    ...realtimeRoutes(),
    ...clusterRoutes(deps),
    ...debugRoutes(),
    ...wayRoutes(deps),
    route({
      path: '/openapi.json',
      summary: 'This table, as OpenAPI 3.1.',
      params: NoQuery,
      answer: OpenApiAnswer,
      handle: ({ sources }) => openApi(documentedRoutes(deps), sources.version.version),
    }),
  ];
}

export function documentedRoutes(deps: { readonly clock: Clock }): readonly DocumentedRoute[] {
  return [...OPEN_ROUTES, ...apiRoutes(deps)];
}

function statusRoutes(): readonly Route[] {
  const params = NoQuery;
  return [
    route({
      path: '/api/health',
      summary: 'What is wrong, since when and how often, and what was wrong before.',
      ...{ params, answer: HealthAnswer },
      handle: ({ sources, signal }) => sources.health(signal),
    }),
    route({
      path: '/api/health/detailed',
      summary: 'Agent, session, nodes and commands: what `status` shows.',
      ...{ params, answer: DetailedHealth },
      handle: ({ sources, signal }) => sources.detailed(signal),
    }),
    route({
      path: '/api/status/features',
      summary: 'What this agent can do, as it is set up now.',
      ...{ params, answer: FeaturesAnswer },
      handle: ({ sources }) => sources.features(),
    }),
    route({
      path: '/api/status/connectivity',
      summary: 'Whether what the agent depends on answers.',
      ...{ params, answer: ConnectivityAnswer },
      handle: ({ sources, signal }) => sources.connectivity(signal),
    }),
    route({
      path: '/api/metrics/runtime',
      summary: 'What the process uses.',
      ...{ params, answer: RuntimeAnswer },
      handle: ({ sources }) => sources.runtime(),
    }),
    route({
      path: '/api/metrics/day',
      summary: 'How busy the machine and the agent were over the last day, minute by minute.',
      ...{ params, answer: DayAnswer },
      handle: ({ sources }) => sources.day(),
    }),
    route({
      path: '/api/settings',
      summary: 'The settings with which the agent was started.',
      ...{ params, answer: SettingsAnswer },
      handle: ({ sources }) => sources.settings(),
    }),
    route({
      path: '/api/session',
      summary: 'Reads the files of the session again, and tries at once where there is none.',
      ...{ params, answer: SessionAnswer },
      handle: ({ sources }) => sources.session(),
    }),
    route({
      method: 'POST',
      path: '/api/dashboard/links',
      summary: 'Makes a link to the page at /dashboard, for one use within 5 minutes.',
      ...{ params, answer: DashboardLink },
      handle: ({ sources }) => sources.dashboardLink(),
    }),
    route({
      path: '/api/k8s/local-access',
      summary: 'How kubectl reaches the cluster through the agent.',
      ...{ params, answer: LocalAccess },
      handle: ({ sources }) => {
        if (sources.access === undefined) {
          throw notServer();
        }
        return sources.access();
      },
    }),
  ];
}

function policyRoutes(deps: { readonly clock: Clock }): readonly Route[] {
  return [
    route({
      path: '/api/policy',
      summary: 'Reads the policy file again, and says whether it is in force.',
      ...{ params: NoQuery, answer: PolicyAnswer },
      handle: ({ sources }) => sources.policy(),
    }),
    route({
      path: '/api/policy/rules',
      summary: 'What the control plane and the proxy may do here, and which rule says so.',
      ...{ params: NoQuery, answer: PolicyRules },
      handle: ({ sources }) => sources.policyRules(),
    }),
    route({
      path: '/api/policy/refusals',
      summary:
        'What the policy has refused since the start of the agent: the 200 newest that differ, a page at a time.',
      ...{ params: RefusalsQuery, answer: RefusalsPage },
      handle: ({ sources }, query) => {
        const wanted = ({ about }: RefusalRow) => about.includes(query.name ?? '');
        return pageOf(deps, sources.refusals(), { ...query, wanted });
      },
    }),
  ];
}

function logLevelRoutes(): readonly Route[] {
  return [
    route({
      path: '/api/log-level',
      summary: 'How much the agent logs, and until when.',
      ...{ params: NoQuery, answer: LogLevelAnswer },
      handle: ({ sources }) => sources.logLevel(),
    }),
    route({
      method: 'POST',
      path: '/api/log-level',
      summary: 'Changes how much the agent logs, for a while.',
      params: LogLevelChange,
      answer: LogLevelAnswer,
      handle: ({ sources }, change) => sources.changeLogLevel(change),
    }),
  ];
}

function commandRoutes(): readonly Route[] {
  return [
    route({
      path: '/api/commands',
      summary: 'Remote commands of the last 30 days, the newest first.',
      params: CommandsQuery,
      answer: CommandsAnswer,
      handle: ({ sources }, query) => sources.commands.list(query),
    }),
    route({
      path: '/api/commands/{id}',
      summary: 'One remote command, with its progress or its result.',
      params: CommandPath,
      answer: CommandAnswer,
      handle: ({ sources }, { id }) => sources.commands.find(id) ?? unknownCommand(id),
    }),
    route({
      method: 'POST',
      path: '/api/commands/{id}/cancel',
      summary: 'Asks a remote command to stop. The control plane gets its result as ever.',
      params: CommandPath,
      answer: CancelAnswer,
      handle: async ({ sources }, { id }) =>
        (await sources.commands.cancel(id)) ?? unknownCommand(id),
    }),
  ];
}

function realtimeRoutes(): readonly Route[] {
  return [
    streamRoute({
      path: '/api/realtime/events',
      summary:
        'What happens, as it happens: health, session, commands, events of the cluster. Who comes back with `Last-Event-ID` goes on where it was.',
      params: RealtimeQuery,
      answer: RealtimeEvent,
      format: 'events',
      handle: ({ sources, lastEventId }, { follow, after }) =>
        sources.realtime.events({ follow, lastId: lastEventId ?? after }),
    }),
    streamRoute({
      path: '/api/realtime/logs',
      summary: 'The log of the agent, as it is written.',
      params: RealtimeLogsQuery,
      answer: LogEvent,
      format: 'events',
      handle: ({ sources, lastEventId }, { after, ...query }) =>
        sources.realtime.logs({ ...query, lastId: lastEventId ?? after }),
    }),
  ];
}

function unknownCommand(id: string): never {
  throw new AgentError('NOT_FOUND', `No command "${id}" is remembered`, {
    hint: 'List them: sudo pipeops-agent commands list',
  });
}
