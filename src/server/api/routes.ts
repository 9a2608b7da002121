/** What answers each route of the table. It is loaded with the first request that needs it. */
import { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import type { RefusalRow } from '../../protocol/local-policy.ts';
import { clusterRoutes, notServer } from './cluster-routes.ts';
import { debugRoutes } from './debug-routes.ts';
import { openApi } from './openapi.ts';
import { pageOf } from './page.ts';
import { documentedRoutes, type Route, route, streamRoute } from './route.ts';
import { wayRoutes } from './way-routes.ts';

/** All that needs the socket or the token. What is open is answered by open-routes.ts. */
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
    route('GET /openapi.json', ({ sources }) =>
      openApi(documentedRoutes(), sources.version.version),
    ),
  ];
}

function statusRoutes(): readonly Route[] {
  return [
    route('GET /api/health', ({ sources, signal }) => sources.health(signal)),
    route('GET /api/health/detailed', ({ sources, signal }) => sources.detailed(signal)),
    route('GET /api/status/features', ({ sources }) => sources.features()),
    route('GET /api/status/connectivity', ({ sources, signal }) => sources.connectivity(signal)),
    route('GET /api/metrics/runtime', ({ sources }) => sources.runtime()),
    route('GET /api/metrics/day', ({ sources }) => sources.day()),
    route('GET /api/settings', ({ sources }) => sources.settings()),
    route('GET /api/session', ({ sources }) => sources.session()),
    route('POST /api/dashboard/links', ({ sources }) => sources.dashboardLink()),
    route('GET /api/k8s/local-access', ({ sources }) => {
      if (sources.access === undefined) {
        throw notServer();
      }
      return sources.access();
    }),
  ];
}

function policyRoutes(deps: { readonly clock: Clock }): readonly Route[] {
  return [
    route('GET /api/policy', ({ sources }) => sources.policy()),
    route('GET /api/policy/rules', ({ sources }) => sources.policyRules()),
    route('GET /api/policy/refusals', ({ sources }, query) => {
      const wanted = ({ about }: RefusalRow) => about.includes(query.name ?? '');
      return pageOf(deps, sources.refusals(), { ...query, wanted });
    }),
  ];
}

function logLevelRoutes(): readonly Route[] {
  return [
    route('GET /api/log-level', ({ sources }) => sources.logLevel()),
    route('POST /api/log-level', ({ sources }, change) => sources.changeLogLevel(change)),
  ];
}

function commandRoutes(): readonly Route[] {
  return [
    route('GET /api/commands', ({ sources }, query) => sources.commands.list(query)),
    route(
      'GET /api/commands/{id}',
      ({ sources }, { id }) => sources.commands.find(id) ?? unknownCommand(id),
    ),
    route(
      'POST /api/commands/{id}/cancel',
      async ({ sources }, { id }) => (await sources.commands.cancel(id)) ?? unknownCommand(id),
    ),
  ];
}

function realtimeRoutes(): readonly Route[] {
  return [
    streamRoute('GET /api/realtime/events', ({ sources, lastEventId }, { follow, after }) =>
      sources.realtime.events({ follow, lastId: lastEventId ?? after }),
    ),
    streamRoute('GET /api/realtime/logs', ({ sources, lastEventId }, { after, ...query }) =>
      sources.realtime.logs({ ...query, lastId: lastEventId ?? after }),
    ),
  ];
}

function unknownCommand(id: string): never {
  throw new AgentError('NOT_FOUND', `No command "${id}" is remembered`, {
    hint: 'List them: sudo pipeops-agent commands list',
  });
}
