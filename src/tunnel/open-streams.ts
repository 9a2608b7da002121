import type { TunnelStreamRow } from '../protocol/local-routes.ts';

/** One stream that leads to a Service now: allowed, and with an address. */
export interface OpenStream {
  /** Grows with each stream of this process. */
  readonly number: number;
  readonly protocol: 'tcp' | 'udp';
  /** What the gateway calls the tunnel. */
  readonly tunnelId: string;
  readonly namespace: string;
  readonly service: string;
  /** Of the Service. */
  readonly port: number;
  readonly since: Date;
  /** From the peer to the Service. */
  bytesIn: number;
  bytesOut: number;
}

/** Of all tunnels of this process: as many as those may have streams. */
export type OpenStreams = Set<OpenStream>;

/** As the local API tells it. */
export function streamRow(stream: OpenStream): TunnelStreamRow {
  const { number, protocol, tunnelId, namespace, service, port, since, bytesIn, bytesOut } = stream;
  return {
    ...{ number, protocol, tunnel_id: tunnelId, namespace, service, port },
    ...{ since: since.toISOString(), bytes_in: bytesIn, bytes_out: bytesOut },
  };
}
