/** The tables of routes, as the local API tells them. */
import { AgentError } from '../core/errors.ts';
import type { RouteRow, TunnelRow } from '../protocol/local-routes.ts';
import type { ClusterRoutes } from './cluster.ts';

/** @throws AgentError KUBERNETES_API while they are not known */
export function routeRows({ routes }: Pick<ClusterRoutes, 'routes'>): {
  readonly rows: readonly RouteRow[];
  readonly leftOut: number;
} {
  const table = routes() ?? notKnown('routes');
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
export function tunnelRows({ tunnels }: Pick<ClusterRoutes, 'tunnels'>): readonly TunnelRow[] {
  const table = tunnels() ?? notKnown('tunnels');
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
