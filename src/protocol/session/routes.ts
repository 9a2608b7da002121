/**
 * What the control plane is told of the ways into the cluster: the hosts of managed Ingresses
 * (routes), and the TCP and UDP listeners of managed Gateways (tunnels). Field names are wire-exact
 * with the existing control plane, which ignores what it does not know.
 */
import * as z from 'zod';

/** Paths of the calls. Success is 200; for `tunnels` also 201, for its DELETE also 204. */
export const ROUTE_PATHS = {
  /** POST RegisterRoute; the answer's body is ignored. */
  register: () => '/api/v1/gateway/routes/register',
  /**
   * POST SyncRoutes: all routes of the cluster; a route that it does not name is not one any more.
   */
  sync: () => '/api/v1/gateway/routes/sync',
  /** POST UnregisterRoute: all routes of a host. */
  unregister: () => '/api/v1/gateway/routes/unregister',
  /** POST Tunnel. */
  tunnels: (clusterUuid: string) =>
    `/api/v1/clusters/agent/${encodeURIComponent(clusterUuid)}/tunnels`,
  /** POST SyncTunnels → TunnelsSynced. */
  syncTunnels: (clusterUuid: string) => `${ROUTE_PATHS.tunnels(clusterUuid)}/sync`,
  /** DELETE. */
  tunnel: (clusterUuid: string, tunnelId: string) =>
    `${ROUTE_PATHS.tunnels(clusterUuid)}/${encodeURIComponent(tunnelId)}`,
} as const;

const text = z.string();
const name = text.min(1);
const port = z.int().min(1).max(65_535);
const annotations = z.record(text, text);

/** How traffic reaches the cluster: straight to `public_endpoint`, or through the session. */
const RoutingMode = z.enum(['direct', 'tunnel']);

/** One path of one host. The Service is that of the ingress controller, else the application's. */
export const RegisterRoute = z.strictObject({
  /** Lower case; the first label may be `*`. */
  hostname: name,
  cluster_uuid: name,
  namespace: name,
  service_name: name,
  service_port: port,
  ingress_name: name,
  path: text.startsWith('/'),
  path_type: z.enum(['Prefix', 'Exact', 'ImplementationSpecific']),
  /** The Ingress names a certificate, for whichever of its hosts. */
  tls: z.boolean(),
  annotations: annotations.optional(),
  public_endpoint: text.optional(),
  routing_mode: RoutingMode.optional(),
  deployment_id: text.optional(),
  deployment_name: text.optional(),
});
export type RegisterRoute = z.infer<typeof RegisterRoute>;

export const UnregisterRoute = z.strictObject({ hostname: name });

const SyncedPath = RegisterRoute.pick({
  path: true,
  path_type: true,
  service_name: true,
  service_port: true,
});

export const SyncRoutes = z.strictObject({
  cluster_uuid: name,
  public_endpoint: text.optional(),
  routing_mode: RoutingMode.optional(),
  ingress_controller: z
    .strictObject({
      name,
      namespace: name,
      port,
      type: z.enum(['traefik', 'nginx', 'unknown']),
    })
    .optional(),
  ingresses: z.array(
    z.strictObject({
      namespace: name,
      ingress_name: name,
      annotations: annotations.optional(),
      rules: z.array(z.strictObject({ host: name, tls: z.boolean(), paths: z.array(SyncedPath) })),
    }),
  ),
});
export type SyncRoutes = z.infer<typeof SyncRoutes>;

/** One listener of a Gateway, and the Service behind it. */
export const Tunnel = z.strictObject({
  cluster_uuid: name,
  protocol: z.enum(['tcp', 'udp']),
  /** The same for the same listener at any time. */
  tunnel_id: name,
  gateway_name: name,
  gateway_namespace: name,
  gateway_port: port,
  service_name: text,
  service_namespace: text,
  service_port: z.int().min(0).max(65_535),
  routing_mode: z.enum(['direct', 'tunnel', 'dual']),
  /** `host:port` */
  public_endpoint: text.optional(),
  labels: annotations.optional(),
  annotations: annotations.optional(),
});
export type Tunnel = z.infer<typeof Tunnel>;

export const SyncTunnels = z.strictObject({ cluster_uuid: name, tunnels: z.array(Tunnel) });
export type SyncTunnels = z.infer<typeof SyncTunnels>;

/** The part of the answer to SyncTunnels that is used. */
export const TunnelsSynced = z.looseObject({
  rejected: z.array(z.looseObject({ tunnel_id: text, reason: text })).nullish(),
});
