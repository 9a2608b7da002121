/** The connections of one door: opened, looked at for what takes too long, and ended in order. */

import type { Socket, TCPSocketListenOptions, UnixSocketOptions } from 'bun';
import { msUntilBeat } from '../../core/beat.ts';
import type { Clock } from '../../core/ports.ts';
import { settledWithin } from '../../core/waiting.ts';
import { type ConnectionDeps, DoorConnection, type DoorDeps } from './connection.ts';
import { joiningRoom } from './socket-output.ts';

/** How often connections are looked at for what takes too long, ms. */
const CHECK_INTERVAL_MS = 2_000;
/** At the stop: how long requests and streams under way may go on, ms. */
const DRAIN_MS = 5_000;
/** Connections at once, where the door has no number of its own. */
const CONNECTIONS_MAX = 3_000;

type Address =
  | Omit<TCPSocketListenOptions<DoorConnection>, 'socket'>
  | Omit<UnixSocketOptions<DoorConnection>, 'socket'>;

export interface ConnectionServer {
  /** 0 of a Unix socket. */
  readonly port: number;
  /** Serves until then, and resolves when the last connection is at its end. */
  serveUntil(signal: AbortSignal): Promise<void>;
}

/** @throws Error at once when it cannot listen */
export function connectionServer(
  clock: Clock,
  deps: DoorDeps,
  address: Address,
  { connectionsMax = CONNECTIONS_MAX }: { readonly connectionsMax?: number } = {},
): ConnectionServer {
  const connections = new Set<DoorConnection>();
  const idle = signalOfIdleness(connections);
  const own: ConnectionDeps = {
    ...deps,
    joiningRoom: joiningRoom(),
    idle: idle.check,
    now: () => clock.monotonic(),
  };
  const handlers = {
    open: (socket: Socket<DoorConnection>) => {
      socket.data = new DoorConnection(own, socket);
      connections.add(socket.data);
      socket.setNoDelay(true);
      if (connections.size > connectionsMax) {
        socket.terminate();
      }
    },
    // Without this `open` is called only after TLS, and connections that never speak TLS would be
    // neither counted nor ended.
    handshake: () => undefined,
    data: (socket: Socket<DoorConnection>, bytes: Buffer) => socket.data.received(bytes),
    drain: (socket: Socket<DoorConnection>) => socket.data.drained(),
    close: (socket: Socket<DoorConnection>) => {
      connections.delete(socket.data);
      socket.data.closed();
    },
    error: (socket: Socket<DoorConnection>) => socket.data.destroy(),
  };
  const server =
    'unix' in address
      ? Bun.listen<DoorConnection>({ ...address, socket: handlers })
      : Bun.listen<DoorConnection>({ ...address, socket: handlers });
  return {
    port: 'port' in server ? server.port : 0,
    serveUntil: (signal) => serveUntilAsked(clock, server, connections, idle, signal),
  };
}

interface Idleness {
  /** To be called whenever a connection may have become idle, or is gone. */
  check(): void;
  whenIdle(): Promise<void>;
}

function signalOfIdleness(connections: ReadonlySet<DoorConnection>): Idleness {
  const isIdle = () => ![...connections].some((each) => each.isBusy);
  let told: (() => void) | undefined;
  return {
    check: () => {
      if (told !== undefined && isIdle()) {
        told();
      }
    },
    whenIdle: () =>
      new Promise((resolve) => {
        told = resolve;
        if (isIdle()) {
          resolve();
        }
      }),
  };
}

async function serveUntilAsked(
  clock: Clock,
  server: { stop(): void },
  connections: ReadonlySet<DoorConnection>,
  idle: Idleness,
  signal: AbortSignal,
): Promise<void> {
  while (await clock.sleep(msUntilBeat(clock, CHECK_INTERVAL_MS), signal)) {
    for (const connection of [...connections]) {
      connection.checkTime();
    }
  }
  server.stop();
  for (const connection of [...connections]) {
    connection.leave();
  }
  await settledWithin(clock, DRAIN_MS, undefined, idle.whenIdle());
  for (const connection of [...connections]) {
    if (connection.isBusy) {
      connection.destroy(); // The others have been ended in order.
    }
  }
}
