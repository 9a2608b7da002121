import type { AttachedDataPlane, DataPlane, SessionLink } from '../control-plane/ports.ts';
import type { Clock, Log, RunSoon } from '../core/ports.ts';
import {
  type GatewayHelloAckPayload,
  GatewayHelloPayload,
  type GatewaySettings,
  gatewaySettings,
} from '../protocol/gateway-messages.ts';
import type { TunnelCounters } from './counters.ts';
import { Deadlines } from './deadlines.ts';
import type { TunnelTargets } from './targets.ts';
import { TunnelStreams } from './tunnel-streams.ts';
import { YamuxSession } from './yamux-session.ts';

export interface TunnelDeps {
  readonly clock: Clock;
  readonly runSoon: RunSoon;
  readonly log: Log;
  readonly targets: TunnelTargets;
  readonly counters: TunnelCounters;
}

export interface TunnelDataPlane extends DataPlane {
  attach(link: SessionLink): AttachedTunnel;
}

export interface AttachedTunnel extends AttachedDataPlane {
  /** Every binary message of this connection is the tunnel's: nobody else may send one. */
  readonly isActive: boolean;
  /** Takes no new streams; open ones go on. */
  goAway(): void;
}

interface Tunnel {
  readonly session: YamuxSession;
  readonly stop: AbortController;
}

/** The tunnel of a connection: none until the peer's `gateway_hello`, then one yamux session. */
export function tunnelDataPlane(deps: TunnelDeps): TunnelDataPlane {
  return {
    types: ['gateway_hello'],
    attach: (link) => {
      let tunnel: Tunnel | undefined;
      const end = () => {
        tunnel?.session.close();
        tunnel?.stop.abort();
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
            tunnel = startTunnel(deps, link, settings, end);
          }
        },
        binary: (data) => tunnel?.session.receive(data),
        goAway: () => tunnel?.session.goAway(),
        close: end,
      };
    },
  };
}

/** @param ended called when it is over by itself */
function startTunnel(
  deps: TunnelDeps,
  link: SessionLink,
  settings: GatewaySettings,
  ended: () => void,
): Tunnel {
  const deadlines = new Deadlines(deps);
  const stop = new AbortController();
  const streams = new TunnelStreams(
    { ...deps, deadlines, atTurnEnd: (task) => session.atTurnEnd(task) },
    { dialTimeoutMs: settings.connectionTimeoutMs, udpFraming: settings.udpFraming },
  );
  const session = new YamuxSession(
    {
      clock: deps.clock,
      runSoon: deps.runSoon,
      transport: {
        send: (bytes) => link.sendBinary(bytes),
        bufferedBytes: () => link.bufferedBytes(),
      },
      accept: (stream) => streams.accept(stream),
      ended: (reason) => {
        deps.log.warn('The tunnel ended', { reason });
        ended();
      },
    },
    {
      role: 'client',
      windowLimitBytes: settings.windowLimitBytes,
      keepAliveMs: settings.keepAliveMs,
      answerTimeoutMs: settings.connectionTimeoutMs,
    },
  );
  void deadlines.run(stop.signal);
  void session.run(stop.signal);
  deps.log.info('The tunnel is open', { udp_framing: settings.udpFraming });
  return { session, stop };
}
