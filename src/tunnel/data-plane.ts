import type { AttachedDataPlane, DataPlane, SessionLink } from '../control-plane/ports.ts';
import {
  type GatewayHelloAckPayload,
  GatewayHelloPayload,
  gatewaySettings,
} from '../protocol/gateway-messages.ts';
import { openTunnel, type Tunnel, type TunnelDeps } from './open-tunnel.ts';

export interface TunnelDataPlane extends DataPlane {
  attach(link: SessionLink): AttachedTunnel;
}

export interface AttachedTunnel extends AttachedDataPlane {
  /** Every binary message of this connection is the tunnel's: nobody else may send one. */
  readonly isActive: boolean;
  /** Takes no new streams; open ones go on. */
  goAway(): void;
}

/** The tunnel of a connection: none until the peer's `gateway_hello`, then one yamux session. */
export function tunnelDataPlane(deps: TunnelDeps): TunnelDataPlane {
  return {
    types: ['gateway_hello'],
    attach: (link) => {
      let tunnel: Tunnel | undefined;
      const end = () => {
        tunnel?.close();
        tunnel = undefined;
      };
      return {
        get isActive() {
          return tunnel !== undefined;
        },
        message: (envelope) => {
          const hello = GatewayHelloPayload.parse(envelope.payload ?? {});
          if (!hello.use_yamux) {
            return;
          }
          end(); // A second hello begins anew.
          const settings = gatewaySettings(hello);
          const ack: GatewayHelloAckPayload = {
            use_yamux: true,
            ...(settings.udpFraming ? { udp_framing: true } : {}),
          };
          if (link.send('gateway_hello_ack', ack, envelope.request_id)) {
            tunnel = openTunnel(deps, link, settings, () => {
              tunnel = undefined;
            });
          }
        },
        binary: (data) => tunnel?.receive(data),
        goAway: () => tunnel?.goAway(),
        close: end,
      };
    },
  };
}
