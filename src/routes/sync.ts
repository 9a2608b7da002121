/** Tells the control plane of the ways into the cluster, and keeps its copy of them right. */

import type { RouteClient } from '../control-plane/rest/route-client.ts';
import type { DataPlane } from '../control-plane/session/ports.ts';
import type { Clock, Log, Random } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { together } from '../core/together.ts';
import type { SyncRoutes, Tunnel } from '../protocol/session/routes.ts';
import type { ClusterRoutes } from './cluster.ts';
import type { HostPath, HostRoutes, RouteTable } from './hosts.ts';
import type { ListenerTunnel } from './listeners.ts';
import { type Replicated, replica } from './replica.ts';

/** All routes are told again this often: the control plane forgets them after a day. */
const ROUTES_SYNC_MS = 4 * 3_600_000;
/** All tunnels are told again this often, while there are any. */
const TUNNELS_SYNC_MS = 5 * 60_000;

/** Characters of the control plane's words that are repeated. */
const FOREIGN_TEXT_MAX = 200;

export interface RouteSync {
  /** There is a session; the control plane calls the cluster by this name. */
  registered(clusterUuid: string): void;
  readonly service: Service;
}

export interface RouteSyncDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly client: RouteClient;
  readonly cluster: ClusterRoutes;
}

export function routeSync(deps: RouteSyncDeps): RouteSync {
  let clusterUuid = '';
  const uuid = () => clusterUuid;
  const replicas = [
    replica(deps, replicatedRoutes(deps, uuid)),
    replica(deps, replicatedTunnels(deps, uuid)),
  ];
  deps.cluster.onLook(() => {
    for (const each of replicas) {
      each.changed();
    }
  });
  return {
    registered: (given) => {
      clusterUuid = given;
      for (const each of replicas) {
        each.registered();
      }
    },
    service: {
      name: 'route-sync',
      start: async (signal) => ({
        done: together(
          replicas.map((each) => each.run),
          signal,
        ),
      }),
    },
  };
}

/** The data plane, which is attached at each new session: then `sync` hears of it too. */
export function announcing(plane: DataPlane, sync: Pick<RouteSync, 'registered'>): DataPlane {
  return {
    types: plane.types,
    attach: (link) => {
      sync.registered(link.clusterUuid);
      return plane.attach(link);
    },
  };
}

function replicatedRoutes(deps: RouteSyncDeps, clusterUuid: () => string): Replicated<HostRoutes> {
  const { client, cluster } = deps;
  return {
    name: 'routes',
    wanted: () => cluster.routes()?.hosts,
    replaceAll: (hosts, signal) =>
      client.sync(syncedRoutes(clusterUuid(), hosts, cluster.routes()?.controller), signal),
    put: async ({ paths }, before, signal) => {
      for (const { route } of paths) {
        const isKnown = before?.paths.some((known) => Bun.deepEquals(known.route, route));
        if (isKnown !== true) {
          await client.register({ ...route, cluster_uuid: clusterUuid() }, signal);
        }
      }
    },
    remove: ({ hostname }, signal) => client.unregister(hostname, signal),
    // A whole host can be unregistered, but not one of its paths.
    canPut: (before, after) =>
      before.paths.every(({ route }) => after.paths.some((each) => isSamePath(each.route, route))),
    syncEveryMs: () => ROUTES_SYNC_MS,
  };
}

function isSamePath(one: HostPath['route'], other: HostPath['route']): boolean {
  return one.path === other.path && one.path_type === other.path_type;
}

function syncedRoutes(
  clusterUuid: string,
  hosts: ReadonlyMap<string, HostRoutes>,
  controller: RouteTable['controller'],
): SyncRoutes {
  const ingresses = new Map<string, SyncRoutes['ingresses'][number]>();
  for (const { hostname, paths } of hosts.values()) {
    for (const { route, application } of paths) {
      const { ingress_name, annotations, tls, path, path_type, service_name, service_port } = route;
      const { namespace } = application;
      const key = `${namespace}/${ingress_name}`;
      const ingress = ingresses.get(key) ?? {
        namespace,
        ingress_name,
        rules: [],
        ...(annotations === undefined ? {} : { annotations }),
      };
      ingresses.set(key, ingress);
      let rule = ingress.rules.at(-1); // The paths of a host come together.
      if (rule?.host !== hostname) {
        rule = { host: hostname, tls, paths: [] };
        ingress.rules.push(rule);
      }
      rule.paths.push({ path, path_type, service_name, service_port });
    }
  }
  return {
    cluster_uuid: clusterUuid,
    routing_mode: 'tunnel',
    ...(controller === undefined ? {} : { ingress_controller: controller }),
    ingresses: [...ingresses.values()],
  };
}

function replicatedTunnels(
  deps: RouteSyncDeps,
  clusterUuid: () => string,
): Replicated<ListenerTunnel> {
  const { client, cluster, log } = deps;
  const tunnel = (row: ListenerTunnel): Tunnel => ({
    ...row,
    cluster_uuid: clusterUuid(),
    tunnel_id: tunnelId(clusterUuid(), row),
  });
  return {
    name: 'tunnels',
    wanted: cluster.tunnels,
    replaceAll: async (rows, signal) => {
      const tunnels = [...rows.values()].map(tunnel);
      const body = { cluster_uuid: clusterUuid(), tunnels };
      const refused = await client.syncTunnels(body, signal);
      if (refused[0] !== undefined) {
        const { tunnel_id, reason } = refused[0];
        log.warn('the control plane refuses tunnels', {
          count: refused.length,
          first: tunnel_id.slice(0, FOREIGN_TEXT_MAX),
          reason: reason.slice(0, FOREIGN_TEXT_MAX),
        });
      }
    },
    put: (row, _, signal) => client.registerTunnel(tunnel(row), signal),
    remove: (row, signal) =>
      client.removeTunnel(clusterUuid(), tunnelId(clusterUuid(), row), signal),
    canPut: () => true,
    // Where there are no tunnels, the control plane cannot have lost any.
    syncEveryMs: () => (cluster.tunnels()?.size === 0 ? ROUTES_SYNC_MS : TUNNELS_SYNC_MS),
  };
}

/** The id includes the namespace, which holds no dot, so two Gateways of one name differ. */
function tunnelId(clusterUuid: string, row: ListenerTunnel): string {
  const { protocol, gateway_namespace, gateway_name, gateway_port } = row;
  return `${protocol}-${clusterUuid}-${gateway_namespace}.${gateway_name}-${gateway_port}`;
}
