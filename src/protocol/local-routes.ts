/** The ways into the cluster, as the local API tells them: what the control plane was told of. */
import * as z from 'zod';
import { pageOf } from './local-page.ts';

/** A path of a host that leads to a Service. */
export const RouteRow = z.object({
  /** Lower case; the first label may be `*`. */
  host: z.string(),
  path: z.string(),
  /** `Prefix`, `Exact`, `ImplementationSpecific`. */
  path_type: z.string(),
  tls: z.boolean(),
  namespace: z.string(),
  /** Of the Ingress or HTTPRoute. */
  name: z.string(),
  service: z.string(),
  port: z.int(),
});
export type RouteRow = z.infer<typeof RouteRow>;

/** A TCP or UDP listener of a Gateway. */
export const TunnelRow = z.object({
  /** `tcp`, `udp`. */
  protocol: z.string(),
  port: z.int(),
  namespace: z.string(),
  /** Of the Gateway. */
  name: z.string(),
  service: z.string(),
  service_port: z.int(),
  /** `tunnel`: through the session. `direct`, `dual`: also straight to `public_endpoint`. */
  mode: z.string(),
  public_endpoint: z.string().nullable(),
});
export type TunnelRow = z.infer<typeof TunnelRow>;

/** Of all tunnels together, since the start of the agent. */
export const TunnelStreams = z.object({
  /** Open now. */
  active: z.int(),
  accepted: z.int(),
  /** To what may not be reached, or too many. */
  refused: z.int(),
  /** The Service did not answer, or the stream ended before its data did. */
  failed: z.int(),
  /** To Services. */
  bytes_in: z.int(),
  bytes_out: z.int(),
});
export type TunnelStreams = z.infer<typeof TunnelStreams>;

/** A stream of a tunnel that leads to a Service now. */
export const TunnelStreamRow = z.object({
  /** Grows with each stream since the start of the agent. */
  number: z.int(),
  /** `tcp`, `udp`. */
  protocol: z.string(),
  /** What the gateway calls the tunnel. */
  tunnel_id: z.string(),
  namespace: z.string(),
  service: z.string(),
  /** Of the Service. */
  port: z.int(),
  since: z.string(),
  /** To the Service. */
  bytes_in: z.int(),
  bytes_out: z.int(),
});
export type TunnelStreamRow = z.infer<typeof TunnelStreamRow>;

/** GET /api/routes */
export const RoutesPage = pageOf(RouteRow).extend({
  /** Routes beyond the most that are told. */
  left_out: z.int(),
});

/** GET /api/tunnels */
export const TunnelsPage = pageOf(TunnelRow).extend({ streams: TunnelStreams });

/** GET /api/tunnels/streams */
export const TunnelStreamsPage = pageOf(TunnelStreamRow);
export type TunnelStreamsPage = z.infer<typeof TunnelStreamsPage>;
