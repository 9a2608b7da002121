import type { SessionLink } from '../control-plane/session/ports.ts';
import type { Clock, Log, RunSoon } from '../core/ports.ts';
import type { GatewaySettings } from '../protocol/session/gateway.ts';
import { YamuxSession } from '../yamux/session.ts';
import type { TunnelCounters } from './counters.ts';
import { Deadlines } from './deadlines.ts';
import type { OpenStreams } from './open-streams.ts';
import { TunnelStreams } from './streams.ts';
import type { TunnelTargets } from './targets.ts';

export interface TunnelDeps {
  readonly clock: Clock;
  readonly runSoon: RunSoon;
  readonly log: Log;
  readonly targets: TunnelTargets;
  readonly counters: TunnelCounters;
  readonly open: OpenStreams;
}

export interface Tunnel {
  /**
   * Takes a binary message of the connection. It must not be used afterwards: its memory is freed.
   */
  receive(message: Uint8Array): void;
  /** Takes no new streams; open ones go on. */
  goAway(): void;
  /** Streams that are open here, or whose target is still reading the rest. */
  underWay(): number;
  /** Ends every stream. */
  close(): void;
}

/**
 * The tunnel over a connection whose peer has agreed to it.
 * @param ended called when it ends by itself; the connection is then of no more use to it
 */
export function openTunnel(
  deps: TunnelDeps,
  link: Pick<SessionLink, 'sendBinary' | 'bufferedBytes'>,
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
        send: (parts) => link.sendBinary(parts),
        bufferedBytes: () => link.bufferedBytes(),
      },
      accept: (stream) => streams.accept(stream),
      ended: (reason) => {
        deps.log.warn('The tunnel ended', { reason });
        stop.abort();
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
  return {
    receive: (message) => session.receive(message),
    goAway: () => session.goAway(),
    underWay: () => Math.max(session.streamCount, streams.active),
    close: () => {
      session.close();
      stop.abort();
    },
  };
}
