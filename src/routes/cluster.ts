/**
 * The ways into the cluster, as watches report them: hosts of Ingresses and HTTPRoutes, listeners
 * of Gateways.
 */
import type { KubernetesObject, V1Ingress, V1Service } from '@kubernetes/client-node';
import { bell, rungWithin } from '../core/bell.ts';
import { KINDS, pathOfKind } from '../core/kinds.ts';
import type { Service } from '../core/service.ts';
import { together } from '../core/together.ts';
import type { InformerDeps, InformerSink } from '../kubernetes/watch/informer.ts';
import { KindCache } from '../kubernetes/watch/kind-cache.ts';
import type { FollowKind } from '../kubernetes/watch/shared-following.ts';
import type { ReachPolicy } from '../policy/decision.ts';
import { type HostRow, isManaged } from './host-row.ts';
import { type Application, applicationFor, type RouteTable, routeTable } from './hosts.ts';
import {
  type Gateway,
  type GatewayRow,
  gatewayRow,
  isManagedGateway,
  type L4Route,
  type L4RouteRow,
  type ListenerTunnel,
  l4RouteRow,
  listenerTunnels,
} from './listeners.ts';
import { type HttpRoute, httpRouteRow } from './managed-http.ts';
import { ingressRow } from './managed-ingress.ts';
import { followOptionalKind } from './optional-kind.ts';
import type { ServicePort } from './service-locator.ts';
import { type ServiceRow, serviceRow } from './service-row.ts';

/** Changes that come within this time are looked at together. */
export const SETTLE_MS = 250;
/**
 * A change of the policy can change the routes but rings no bell, so they are looked at this often.
 */
const RECHECK_MS = 5 * 60_000;

const INGRESSES = pathOfKind(KINDS.ingress);
const SERVICES = pathOfKind(KINDS.service);
const GATEWAYS = pathOfKind(KINDS.gateway);
const HTTP_ROUTES = pathOfKind(KINDS.httpRoute);
const TCP_ROUTES = pathOfKind(KINDS.tcpRoute);
const UDP_ROUTES = pathOfKind(KINDS.udpRoute);

export interface ClusterRoutes {
  /** Whether they are looked at: they are while this agent has the session. Without one nobody is told of them. */
  isFollowed(): boolean;
  /** The result of the last look; undefined before everything has been listed once. */
  routes(): RouteTable | undefined;
  /** By key; see `listenerTunnels`. Undefined before everything has been listed once. */
  tunnels(): ReadonlyMap<string, ListenerTunnel> | undefined;
  /** The Service that a managed Ingress or HTTPRoute leads a request to. @param host lower case, no port */
  application(host: string, path: string): Application | undefined;
  /** Whether a managed Ingress, HTTPRoute or Gateway leads to this port. */
  isRouted(service: ServicePort): boolean;
  /** Calls after each look that may have found something new. */
  onLook(listener: () => void): void;
  readonly service: Service;
}

export interface ClusterRoutesDeps extends InformerDeps {
  readonly follow: FollowKind;
  readonly policy: ReachPolicy;
}

export function clusterRoutes(deps: ClusterRoutesDeps): ClusterRoutes {
  const caches = routeCaches(deps);
  const listeners = new Set<() => void>();
  let isFollowed = false;
  let routes: RouteTable | undefined;
  let tunnels: ReadonlyMap<string, ListenerTunnel> | undefined;
  let routed: ReadonlySet<string> = new Set();
  const look = async () => {
    const next = await readCaches(deps, caches);
    if (next.routes !== undefined && next.routes.leftOut !== (routes?.leftOut ?? 0)) {
      deps.log.warn('there are more routes than are told', { left_out: next.routes.leftOut });
    }
    // A table that cannot be read for a while stays as it was.
    routes = next.routes ?? routes;
    tunnels = next.tunnels ?? tunnels;
    routed = routedPorts(routes, tunnels);
    for (const listener of listeners) {
      listener();
    }
  };
  const lookAgainAndAgain = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      await rungWithin(deps, caches.changed, RECHECK_MS, signal);
      if (await deps.clock.sleep(SETTLE_MS, signal)) {
        await look();
      }
    }
  };
  return {
    isFollowed: () => isFollowed,
    routes: () => routes,
    tunnels: () => tunnels,
    application: (host, path) =>
      routes === undefined ? undefined : applicationFor(routes, host, path),
    isRouted: (service) => routed.has(portKey(service)),
    onLook: (listener) => listeners.add(listener),
    service: {
      name: 'routes',
      start: async (signal) => {
        isFollowed = true;
        const follow = (either: AbortSignal) => followAll(deps, caches, either);
        return { done: together([follow, lookAgainAndAgain], signal) };
      },
    },
  };
}

type RouteCaches = ReturnType<typeof routeCaches>;

function routeCaches(deps: ClusterRoutesDeps) {
  return {
    changed: bell(),
    ingresses: new KindCache<V1Ingress, HostRow>(deps, { key: keyOf, pick: ingressRow }),
    httpRoutes: new KindCache<HttpRoute, HostRow>(deps, { key: keyOf, pick: httpRouteRow }),
    services: new KindCache<V1Service, ServiceRow>(deps, { key: keyOf, pick: serviceRow }),
    gateways: new KindCache<Gateway, GatewayRow>(deps, { key: keyOf, pick: gatewayRow }),
    tcpRoutes: new KindCache<L4Route, L4RouteRow>(deps, {
      key: keyOf,
      pick: (route) => l4RouteRow(route, 'tcp'),
    }),
    udpRoutes: new KindCache<L4Route, L4RouteRow>(deps, {
      key: keyOf,
      pick: (route) => l4RouteRow(route, 'udp'),
    }),
  };
}

/** @returns undefined for a table of which some part is not known */
async function readCaches(deps: ClusterRoutesDeps, caches: RouteCaches) {
  const { ingresses, httpRoutes, services, gateways, tcpRoutes, udpRoutes } = caches;
  const mayRoute = (namespace: string) => deps.policy.reach(namespace).allowed;
  const routesKnown = [ingresses, httpRoutes, services].every((cache) => cache.isKnown());
  const tunnelsKnown = [gateways, tcpRoutes, udpRoutes].every((cache) => cache.isKnown());
  return {
    routes: routesKnown
      ? await routeTable(deps, {
          owners: [...ingresses.rows(), ...httpRoutes.rows()],
          services: new Map(services.rows().map((row) => [`${row.namespace}/${row.name}`, row])),
          mayRoute,
        })
      : undefined,
    tunnels: tunnelsKnown
      ? listenerTunnels({
          gateways: gateways.rows(),
          routes: [...tcpRoutes.rows(), ...udpRoutes.rows()],
          mayRoute,
        })
      : undefined,
  };
}

function routedPorts(
  routes: RouteTable | undefined,
  tunnels: ReadonlyMap<string, ListenerTunnel> | undefined,
): ReadonlySet<string> {
  const ports = new Set<string>();
  for (const { paths } of routes?.hosts.values() ?? []) {
    for (const { application } of paths) {
      ports.add(portKey({ ...application, protocol: 'TCP' }));
    }
  }
  for (const tunnel of tunnels?.values() ?? []) {
    ports.add(
      portKey({
        namespace: tunnel.service_namespace,
        name: tunnel.service_name,
        port: tunnel.service_port,
        protocol: tunnel.protocol === 'udp' ? 'UDP' : 'TCP',
      }),
    );
  }
  return ports;
}

function portKey({ namespace, name, port, protocol }: ServicePort): string {
  return `${namespace}/${name}:${port}/${protocol}`;
}

function followAll(
  deps: ClusterRoutesDeps,
  caches: RouteCaches,
  signal: AbortSignal,
): Promise<void> {
  const { ingresses, httpRoutes, services, gateways, tcpRoutes, udpRoutes } = caches;
  const { ring } = caches.changed;
  const managedIngresses = ringing(ingresses, ring, isManaged);
  const managedHttpRoutes = ringing(httpRoutes, ring, isManaged);
  const managedGateways = ringing(gateways, ring, isManagedGateway);
  return together(
    [
      (either) => deps.follow(INGRESSES, managedIngresses, either),
      (either) => deps.follow(SERVICES, ringing(services, ring), either),
      (either) => followOptionalKind(deps, HTTP_ROUTES, managedHttpRoutes, either),
      (either) => followOptionalKind(deps, GATEWAYS, managedGateways, either),
      (either) => followOptionalKind(deps, TCP_ROUTES, ringing(tcpRoutes, ring), either),
      (either) => followOptionalKind(deps, UDP_ROUTES, ringing(udpRoutes, ring), either),
    ],
    signal,
  );
}

/** Keeps the wanted objects in the cache, and rings at each change and each list. */
function ringing<T extends KubernetesObject, Row>(
  cache: KindCache<T, Row>,
  ring: () => void,
  isWanted: (object: T) => boolean = () => true,
): InformerSink<T> {
  const watched = (change: () => void) => {
    const before = cache.generation;
    change();
    if (cache.generation !== before) {
      ring();
    }
  };
  return {
    listing: () => cache.listing(),
    put: (object) => watched(() => (isWanted(object) ? cache.put(object) : cache.remove(object))),
    remove: (object) => watched(() => cache.remove(object)),
    listed: () => {
      cache.listed();
      ring();
    },
    reached: () => cache.reached(),
    failed: (error) => cache.failed(error),
  };
}

function keyOf({ metadata }: KubernetesObject): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}
