/** The TCP and UDP listeners of managed Gateways, and the Services behind them. */
import type { KubernetesObject } from '@kubernetes/client-node';
import { GROUPS } from '../core/kinds.ts';
import { ROUTED_LABEL, ROUTING_MODE_ANNOTATION } from '../core/labels.ts';
import { hostAndPort } from '../core/text/host-and-port.ts';
import type { Tunnel } from '../protocol/session/routes.ts';
import { type BackendRef, ownService } from './backend-ref.ts';
import { byAge } from './by-age.ts';

/** Listeners that the control plane is told of; the oldest Gateways come first. */
export const TUNNELS_MAX = 500;

/** gateway-api.sigs.k8s.io, GatewaySpec v1, as far as it is used. */
export interface Gateway extends KubernetesObject {
  readonly spec?: {
    readonly listeners?: readonly {
      readonly name: string;
      readonly port: number;
      readonly protocol: string;
    }[];
  };
  readonly status?: { readonly addresses?: readonly { readonly value: string }[] };
}

/** TCPRoute and UDPRoute v1alpha2, as far as they are used. */
export interface L4Route extends KubernetesObject {
  readonly spec?: {
    readonly parentRefs?: readonly {
      readonly group?: string;
      readonly kind?: string;
      readonly namespace?: string;
      readonly name: string;
      readonly sectionName?: string;
      readonly port?: number;
    }[];
    readonly rules?: readonly {
      readonly backendRefs?: readonly BackendRef[];
    }[];
  };
}

export interface ListenerRow {
  readonly name: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

export interface GatewayRow {
  readonly namespace: string;
  readonly name: string;
  readonly createdAt: string;
  /** The mode that its annotation asks for. */
  readonly routingMode: string | undefined;
  /** Empty while it has none. */
  readonly address: string;
  readonly listeners: readonly ListenerRow[];
}

export interface L4RouteRow {
  readonly namespace: string;
  readonly name: string;
  readonly createdAt: string;
  readonly protocol: 'tcp' | 'udp';
  readonly parents: readonly {
    readonly gateway: string;
    readonly listener: string | undefined;
    readonly port: number | undefined;
  }[];
  /** The first backend; undefined when it is not a Service of this namespace. */
  readonly backend: { readonly name: string; readonly port: number } | undefined;
}

/**
 * The part of a tunnel that comes from the listener: all but the names that the control plane gave.
 */
export type ListenerTunnel = Omit<Tunnel, 'cluster_uuid' | 'tunnel_id'>;

export function isManagedGateway({ metadata }: Gateway): boolean {
  const label = metadata?.labels?.[ROUTED_LABEL];
  return label !== undefined && label !== 'false';
}

export function gatewayRow({ metadata, spec, status }: Gateway): GatewayRow {
  return {
    ...placeOf(metadata),
    routingMode: metadata?.annotations?.[ROUTING_MODE_ANNOTATION],
    address: status?.addresses?.[0]?.value ?? '',
    listeners: (spec?.listeners ?? []).flatMap(({ name, port, protocol }) =>
      protocol === 'TCP' || protocol === 'UDP'
        ? { name, port, protocol: protocol === 'TCP' ? 'tcp' : 'udp' }
        : [],
    ),
  };
}

export function l4RouteRow(
  { metadata, spec }: L4Route,
  protocol: L4RouteRow['protocol'],
): L4RouteRow {
  const place = placeOf(metadata);
  return {
    ...place,
    protocol,
    parents: (spec?.parentRefs ?? []).flatMap((parent) =>
      (parent.group ?? GROUPS.gateway) === GROUPS.gateway &&
      (parent.kind ?? 'Gateway') === 'Gateway' &&
      (parent.namespace ?? place.namespace) === place.namespace
        ? { gateway: parent.name, listener: parent.sectionName || undefined, port: parent.port }
        : [],
    ),
    backend: ownService(spec?.rules?.[0]?.backendRefs?.[0], place.namespace),
  };
}

function placeOf(metadata: KubernetesObject['metadata']) {
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    createdAt: String(metadata?.creationTimestamp ?? ''),
  };
}

export interface TunnelSources {
  readonly gateways: readonly GatewayRow[];
  readonly routes: readonly L4RouteRow[];
  /** Whether the policy lets applications of the namespace be reached. */
  readonly mayRoute: (namespace: string) => boolean;
}

/**
 * By a key that stays the same for a listener: its protocol, its port, and the name of its Gateway
 * with the namespace, which holds no dot. A listener that leads nowhere is left out.
 */
export function listenerTunnels(sources: TunnelSources): ReadonlyMap<string, ListenerTunnel> {
  const tunnels = new Map<string, ListenerTunnel>();
  const routes = byAge(sources.routes);
  for (const gateway of byAge(sources.gateways)) {
    for (const listener of sources.mayRoute(gateway.namespace) ? gateway.listeners : []) {
      const backend = backendOf(routes, gateway, listener);
      if (backend !== undefined && tunnels.size < TUNNELS_MAX) {
        const { namespace, name } = gateway;
        const key = `${listener.protocol}-${namespace}.${name}-${listener.port}`;
        tunnels.set(key, tunnelOf(gateway, listener, backend));
      }
    }
  }
  return tunnels;
}

function backendOf(
  routes: readonly L4RouteRow[],
  gateway: GatewayRow,
  listener: ListenerRow,
): L4RouteRow['backend'] {
  return routes.find(
    (route) =>
      route.protocol === listener.protocol &&
      route.namespace === gateway.namespace &&
      route.backend !== undefined &&
      route.parents.some(
        (parent) =>
          parent.gateway === gateway.name &&
          (parent.listener ?? listener.name) === listener.name &&
          (parent.port ?? listener.port) === listener.port,
      ),
  )?.backend;
}

function tunnelOf(
  { namespace, name, routingMode, address }: GatewayRow,
  { protocol, port }: ListenerRow,
  backend: NonNullable<L4RouteRow['backend']>,
): ListenerTunnel {
  const isDirect = address !== '' && (routingMode === 'direct' || routingMode === 'dual');
  return {
    protocol,
    gateway_name: name,
    gateway_namespace: namespace,
    gateway_port: port,
    service_name: backend.name,
    service_namespace: namespace,
    service_port: backend.port,
    routing_mode: isDirect ? routingMode : 'tunnel',
    ...(isDirect ? { public_endpoint: hostAndPort(address, port) } : {}),
  };
}
