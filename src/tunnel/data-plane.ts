import type { AttachedDataPlane, DataPlane, SessionLink } from '../control-plane/session/ports.ts';
import {
  type GatewayHelloAckPayload,
  GatewayHelloPayload,
  gatewaySettings,
} from '../protocol/session/gateway.ts';
import { openTunnel, type Tunnel, type TunnelDeps } from './open.ts';

export interface TunnelDataPlane extends DataPlane {
  attach(link: SessionLink): AttachedTunnel;
}

export interface AttachedTunnel extends AttachedDataPlane {
  /** Every binary message of this connection belongs to the tunnel: nothing else may send one. */
  readonly isActive: boolean;
}

/** The tunnel of a connection: none until the peer's `gateway_hello`, then one yamux session. */
export function tunnelDataPlane(deps: TunnelDeps): TunnelDataPlane {
  return {
    types: ['gateway_hello'],
    attach: (link) => {
      let tunnel: Tunnel | undefined;
      let goingAway = false;
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
          if (!hello.use_yamux || goingAway) {
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
        goAway: () => {
          goingAway = true;
          tunnel?.goAway();
        },
        underWay: () => tunnel?.underWay() ?? 0,
        close: end,
      };
    },
  };
}
