import type { Clock, Network, WebSocketConnection, WebSocketHandlers } from '../core/ports.ts';
import type { Histograms } from './metrics/histograms.ts';

/** Pings whose pong is awaited; those before them are forgotten. */
const AWAITED_MAX = 16;

/** Over all WebSockets of this process. They only go up, except `open`. */
export interface WebSocketTraffic {
  open: number;
  opened: number;
  framesSent: number;
  framesReceived: number;
  bytesSent: number;
  bytesReceived: number;
}

export function webSocketTraffic(): WebSocketTraffic {
  return {
    open: 0,
    opened: 0,
    framesSent: 0,
    framesReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
  };
}

interface Deps {
  readonly clock: Clock;
  readonly traffic: WebSocketTraffic;
  readonly histograms: Histograms;
}

/** The same network, whose WebSockets are counted, and their pings timed. */
export function measuredNetwork(deps: Deps, network: Network): Network {
  return {
    ...network,
    dial: (url, options, handlers) => {
      const trip = roundTrips(deps);
      const connection = network.dial(url, options, counted(deps.traffic, trip, handlers));
      return counting(deps.traffic, trip, connection);
    },
  };
}

type RoundTrips = ReturnType<typeof roundTrips>;

/** By what a ping carries; the first one counts where it is sent again. */
function roundTrips({ clock, histograms }: Deps) {
  const sentAt = new Map<string, number>();
  return {
    asked: (mark: string) => {
      const [oldest] = sentAt.keys();
      if (sentAt.size >= AWAITED_MAX && oldest !== undefined) {
        sentAt.delete(oldest);
      }
      sentAt.set(mark, sentAt.get(mark) ?? clock.monotonic());
    },
    answered: (mark: string) => {
      const at = sentAt.get(mark);
      if (at !== undefined) {
        sentAt.delete(mark);
        const seconds = (clock.monotonic() - at) / 1_000;
        histograms.observe('pipeops_agent_session_round_trip_seconds', {}, seconds);
      }
    },
  };
}

function counted(
  traffic: WebSocketTraffic,
  trip: RoundTrips,
  handlers: WebSocketHandlers,
): WebSocketHandlers {
  let isOpen = false;
  return {
    ...handlers,
    opened: (protocol) => {
      isOpen = true;
      traffic.open += 1;
      traffic.opened += 1;
      handlers.opened(protocol);
    },
    heard: (mark) => {
      trip.answered(mark ?? '');
      handlers.heard(mark);
    },
    message: (data) => {
      traffic.framesReceived += 1;
      traffic.bytesReceived += lengthOf(data);
      handlers.message(data);
    },
    closed: (end) => {
      traffic.open -= isOpen ? 1 : 0;
      handlers.closed(end);
    },
  };
}

function counting(
  traffic: WebSocketTraffic,
  trip: RoundTrips,
  connection: WebSocketConnection,
): WebSocketConnection {
  const sent = (bytes: number) => {
    traffic.framesSent += 1;
    traffic.bytesSent += bytes;
  };
  return {
    close: (code, reason) => connection.close(code, reason),
    terminate: () => connection.terminate(),
    pause: () => connection.pause(),
    resume: () => connection.resume(),
    bufferedBytes: () => connection.bufferedBytes(),
    send: (text) => {
      sent(Buffer.byteLength(text));
      connection.send(text);
    },
    sendBinary: (parts) => {
      sent(parts.reduce((sum, { length }) => sum + length, 0));
      connection.sendBinary(parts);
    },
    ping: (mark) => {
      trip.asked(mark ?? '');
      connection.ping(mark);
    },
  };
}

function lengthOf(data: string | Uint8Array): number {
  return typeof data === 'string' ? Buffer.byteLength(data) : data.length;
}
