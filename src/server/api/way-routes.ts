/** Routes of the API that tell the ways into the cluster: routes and tunnels. */
import type { Clock } from '../../core/ports.ts';
import { notServer } from './cluster-routes.ts';
import { pageOf } from './page.ts';
import { type Route, type RouteContext, route } from './route.ts';
import type { RouteSource } from './sources.ts';

export function wayRoutes(deps: { readonly clock: Clock }): readonly Route[] {
  return [
    route('GET /api/routes', async ({ sources }, query) => {
      const { rows, leftOut } = waysOf(sources).routes();
      const isWanted = wantedBy(query);
      const wanted = (row: (typeof rows)[number]) => isWanted(row.host, row);
      return { ...(await pageOf(deps, rows, { ...query, wanted })), left_out: leftOut };
    }),
    route('GET /api/tunnels', async ({ sources }, query) => {
      const ways = waysOf(sources);
      const isWanted = wantedBy(query);
      const rows = ways.tunnels();
      const wanted = (row: (typeof rows)[number]) => isWanted(row.name, row);
      return { ...(await pageOf(deps, rows, { ...query, wanted })), streams: ways.streams() };
    }),
    route('GET /api/tunnels/streams', async ({ sources }, query) => {
      const rows = waysOf(sources).openStreams();
      const isWanted = wantedBy(query);
      const wanted = (row: (typeof rows)[number]) => isWanted(row.service, row);
      return await pageOf(deps, rows, { ...query, wanted });
    }),
  ];
}

function waysOf({ routes }: RouteContext['sources']): RouteSource {
  if (routes === undefined) {
    throw notServer();
  }
  return routes;
}

interface Filter {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

function wantedBy({ namespace, name = '' }: Filter) {
  return (text: string, row: { readonly namespace: string }) =>
    text.includes(name) && (namespace === undefined || row.namespace === namespace);
}
