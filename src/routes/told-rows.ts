/** The tables of routes, as the local API tells them. Where the control plane is told of none, there are none. */
import { AgentError } from '../core/errors.ts';
import type { RouteRow, TunnelRow } from '../protocol/local-routes.ts';
import type { ClusterRoutes } from './cluster.ts';
import type { HostRoutes } from './hosts.ts';
import type { ListenerTunnel } from './listeners.ts';

const NO_ROUTES = { hosts: new Map<string, HostRoutes>(), leftOut: 0 };
const NO_TUNNELS: ReadonlyMap<string, ListenerTunnel> = new Map();

/** @throws AgentError KUBERNETES_API while they are not known */
export function routeRows({ isFollowed, routes }: Pick<ClusterRoutes, 'isFollowed' | 'routes'>): {
  readonly rows: readonly RouteRow[];
  readonly leftOut: number;
} {
  const table = isFollowed() ? (routes() ?? notKnown('routes')) : NO_ROUTES;
  const rows = [...table.hosts.values()].flatMap(({ hostname, paths }) =>
    paths.map(({ route, application }) => ({
      ...{ host: hostname, path: route.path, path_type: route.path_type, tls: route.tls },
      ...{ namespace: application.namespace, name: route.ingress_name },
      ...{ service: application.name, port: application.port },
    })),
  );
  return { rows, leftOut: table.leftOut };
}

/** @throws AgentError KUBERNETES_API while they are not known */
export function tunnelRows({
  isFollowed,
  tunnels,
}: Pick<ClusterRoutes, 'isFollowed' | 'tunnels'>): readonly TunnelRow[] {
  const table = isFollowed() ? (tunnels() ?? notKnown('tunnels')) : NO_TUNNELS;
  return [...table.values()].map((tunnel) => ({
    ...{ protocol: tunnel.protocol, port: tunnel.gateway_port },
    ...{ namespace: tunnel.gateway_namespace, name: tunnel.gateway_name },
    ...{ service: tunnel.service_name, service_port: tunnel.service_port },
    mode: tunnel.routing_mode ?? 'tunnel',
    public_endpoint: tunnel.public_endpoint ?? null,
  }));
}

function notKnown(what: string): never {
  throw new AgentError('KUBERNETES_API', `The ${what} of the cluster are not known yet`, {
    hint: 'Check that k3s runs: systemctl status k3s',
  });
}
