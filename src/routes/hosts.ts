/**
 * Which hosts lead to which Services of the cluster, built from its managed Ingresses and
 * HTTPRoutes.
 */
import { loopBudget } from '../core/loop-budget.ts';
import type { Clock } from '../core/ports.ts';
import type { RegisterRoute } from '../protocol/session/routes.ts';
import { byAge } from './by-age.ts';
import type { HostRow, RoutedPath } from './host-row.ts';
import { findController, type IngressController, type ServiceRow } from './service-row.ts';

/** Routed paths of all hosts together; the oldest owners come first. */
export const ROUTES_MAX = 4_000;

/** The Service of an application, with one of its own TCP ports. */
export interface Application {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

export interface HostPath {
  /** The route as the control plane is told of it. */
  readonly route: Omit<RegisterRoute, 'cluster_uuid'>;
  readonly application: Application;
}

export interface HostRoutes {
  readonly hostname: string;
  readonly paths: readonly HostPath[];
}

export interface RouteTable {
  /** By host name. */
  readonly hosts: ReadonlyMap<string, HostRoutes>;
  readonly controller: IngressController | undefined;
  /** Routes beyond ROUTES_MAX. */
  readonly leftOut: number;
}

export interface RouteSources {
  /** Of both kinds. */
  readonly owners: readonly HostRow[];
  /** By `namespace/name`. */
  readonly services: ReadonlyMap<string, ServiceRow>;
  /** Whether the policy lets applications of the namespace be reached. */
  readonly mayRoute: (namespace: string) => boolean;
}

/**
 * A host that leads to no Service, or to one that the tunnel would not reach, is not a route. When
 * two owners want the same path of the same host, the older one gets it, as with ingress
 * controllers.
 */
export async function routeTable(
  deps: { readonly clock: Clock },
  sources: RouteSources,
): Promise<RouteTable> {
  const { services, mayRoute } = sources;
  const controller = findController(services, mayRoute);
  const hosts = new Map<string, { hostname: string; paths: HostPath[] }>();
  const taken = new Set<string>();
  const budget = loopBudget(deps);
  let leftOut = 0;
  for (const owner of byAge(sources.owners)) {
    if (budget.spent()) {
      await budget.rest();
    }
    for (const { host, path } of mayRoute(owner.namespace) ? pathsOf(owner) : []) {
      const application = applicationOf(services, owner, path);
      const key = `${host} ${path.pathType} ${path.path}`;
      if (application === undefined || taken.has(key)) {
        continue;
      }
      if (taken.size >= ROUTES_MAX) {
        leftOut += 1;
        continue;
      }
      taken.add(key);
      const known = hosts.get(host) ?? { hostname: host, paths: [] };
      known.paths.push({
        application,
        route: routeOf(owner, host, path, controller ?? application),
      });
      hosts.set(host, known);
    }
  }
  return { hosts, controller, leftOut };
}

function pathsOf({ rules }: HostRow) {
  return rules.flatMap(({ host, paths }) => paths.map((path) => ({ host, path })));
}

function applicationOf(
  services: RouteSources['services'],
  { namespace }: HostRow,
  { service: name, port: wanted }: RoutedPath,
): Application | undefined {
  const service = services.get(`${namespace}/${name}`);
  const port = service?.ports.find((each) => each.port === wanted || each.name === wanted);
  return service?.leadsToPods === true && port !== undefined
    ? { namespace, name, port: port.port }
    : undefined;
}

function routeOf(
  owner: HostRow,
  hostname: string,
  { path, pathType }: RoutedPath,
  service: Application | IngressController,
): HostPath['route'] {
  const { annotations, deploymentId } = owner;
  return {
    hostname,
    namespace: service.namespace,
    service_name: service.name,
    service_port: service.port,
    ingress_name: owner.name,
    path,
    path_type: pathType,
    tls: owner.tls,
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    routing_mode: 'tunnel',
    ...(deploymentId === undefined ? {} : { deployment_id: deploymentId }),
    deployment_name: owner.deploymentName ?? hostname.split('.')[0] ?? hostname,
  };
}

/**
 * Where a request goes, as an ingress controller would decide (kubernetes.io, "Ingress"): the host
 * itself before a wildcard, an exact path before a prefix, the longest prefix first.
 * @param path raw, without the query
 */
export function applicationFor(
  table: RouteTable,
  host: string,
  path: string,
): Application | undefined {
  const routes = table.hosts.get(host) ?? table.hosts.get(host.replace(/^[^.]+/, '*'));
  let best: HostPath | undefined;
  for (const each of routes?.paths ?? []) {
    if (matches(each, path) && (best === undefined || weight(each) > weight(best))) {
      best = each;
    }
  }
  return best?.application;
}

function matches({ route }: HostPath, path: string): boolean {
  if (route.path_type === 'Exact') {
    return route.path === path;
  }
  const prefix = route.path.replace(/\/$/, '');
  return path === prefix || path.startsWith(`${prefix}/`);
}

function weight({ route }: HostPath): number {
  return route.path_type === 'Exact' ? Number.POSITIVE_INFINITY : route.path.length;
}
