/** The calls about routes and tunnels, strict about every field. */
import type { z } from 'zod';
import {
  RegisterRoute,
  ROUTE_PATHS,
  SyncRoutes,
  SyncTunnels,
  Tunnel,
  UnregisterRoute,
} from '../../../src/protocol/session/routes.ts';
import { describe, parsed } from './envelope.ts';
import type { RouteRecord } from './route-store.ts';
import type { ControlPlaneStore } from './store.ts';

const json = (status: number, body: unknown) => Response.json(body, { status });
const TUNNELS = /^\/api\/v1\/clusters\/agent\/([^/]+)\/tunnels(?:\/([^/]+))?$/;

/** @returns undefined for a request that is about something else */
export function routesApi(
  store: ControlPlaneStore,
): (request: Request, pathname: string) => Promise<Response> | undefined {
  return (request, pathname) => {
    const key = `${request.method} ${pathname}`;
    switch (key) {
      case `POST ${ROUTE_PATHS.register()}`:
        return taken(store, request, RegisterRoute, (route) => {
          store.routes.register(route.cluster_uuid, recordOf(route));
        });
      case `POST ${ROUTE_PATHS.sync()}`:
        return taken(store, request, SyncRoutes, (body) => {
          store.routes.sync(body.cluster_uuid, recordsOf(body));
        });
      case `POST ${ROUTE_PATHS.unregister()}`:
        return unregister(store, request);
    }
    const [, clusterUuid, tunnelId] = TUNNELS.exec(pathname) ?? [];
    return clusterUuid === undefined
      ? undefined
      : tunnelCall(
          store,
          request,
          decodeURIComponent(clusterUuid),
          tunnelId && decodeURIComponent(tunnelId),
        );
  };
}

async function tunnelCall(
  store: ControlPlaneStore,
  request: Request,
  clusterUuid: string,
  tunnelId: string | undefined,
): Promise<Response> {
  if (request.method === 'DELETE' && tunnelId !== undefined) {
    const status = store.routes.removeTunnel(clusterUuid, tunnelId) ? 204 : 404;
    return new Response(null, { status });
  }
  if (request.method === 'POST' && tunnelId === undefined) {
    return taken(store, request, Tunnel, (tunnel) => store.routes.registerTunnel(tunnel));
  }
  if (request.method === 'POST' && tunnelId === 'sync') {
    return taken(store, request, SyncTunnels, ({ tunnels }) => ({
      accepted: store.routes.syncTunnels(clusterUuid, tunnels),
      rejected: [],
    }));
  }
  return json(405, { error: 'no such call' });
}

async function unregister(store: ControlPlaneStore, request: Request): Promise<Response> {
  const body = UnregisterRoute.safeParse(parsed(await request.text()));
  if (!body.success) {
    store.problem('', `unregister: ${describe(body.error)}`);
    return json(400, { error: describe(body.error) });
  }
  return json(store.routes.unregister(body.data.hostname) ? 200 : 404, {});
}

/** Checks a body and takes it; what is wrong with it is answered and remembered. */
async function taken<T extends { readonly cluster_uuid: string }>(
  store: ControlPlaneStore,
  request: Request,
  schema: z.ZodType<T>,
  take: (body: T) => unknown,
): Promise<Response> {
  const body = schema.safeParse(parsed(await request.text()));
  const agent = body.success ? store.agentOfCluster(body.data.cluster_uuid) : undefined;
  if (!body.success) {
    store.problem('', `${new URL(request.url).pathname}: ${describe(body.error)}`);
    return json(400, { error: describe(body.error) });
  }
  return agent === undefined
    ? json(404, { error: 'cluster not found' })
    : json(200, take(body.data) ?? { status: 'ok' });
}

function recordOf(route: RegisterRoute): RouteRecord {
  const { hostname, path, path_type, namespace, service_name, service_port } = route;
  const { ingress_name, tls } = route;
  return {
    hostname,
    path,
    path_type,
    namespace,
    service_name,
    service_port,
    ingress_name,
    tls,
  };
}

/** A synced Service is that of the controller where one is named, else one of the Ingress' namespace. */
function recordsOf({ ingresses, ingress_controller }: SyncRoutes): readonly RouteRecord[] {
  return ingresses.flatMap(({ namespace, ingress_name, rules }) =>
    rules.flatMap(({ host, tls, paths }) =>
      paths.map((path) => ({
        ...path,
        hostname: host,
        tls,
        ingress_name,
        namespace: ingress_controller?.namespace ?? namespace,
      })),
    ),
  );
}
