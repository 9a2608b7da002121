/** The connections of one door: opened, looked at for what takes too long, and ended in order. */

import type {
  FdSocketOptions,
  Socket,
  SocketHandler,
  TCPSocketListenOptions,
  UnixSocketOptions,
} from 'bun';
import { msUntilBeat } from '../../core/beat.ts';
import type { Clock } from '../../core/ports.ts';
import { settledWithin } from '../../core/waiting.ts';
import { type ConnectionDeps, DoorConnection, type DoorDeps } from './connection.ts';
import { joiningRoom } from './socket-output.ts';

/** How often connections are looked at for what takes too long, ms. */
const CHECK_INTERVAL_MS = 2_000;
/**
 * At the stop: how long connections without a request are still open for one, ms. What a client sends while its
 * connection is ended would have no answer; one that asks more often than this has sent its last request by then.
 */
const LAST_REQUEST_MS = 100;
/** The same of connections on which none has come yet: whoever has just connected is about to ask. */
const FIRST_REQUEST_MS = 2_000;
/** At the stop: how long requests and streams under way may go on, ms. */
const DRAIN_MS = 5_000;
/** Connections at once, where the door has no number of its own. */
const CONNECTIONS_MAX = 3_000;

type Address =
  | Omit<TCPSocketListenOptions<DoorConnection>, 'socket'>
  | Omit<UnixSocketOptions<DoorConnection>, 'socket'>
  | Omit<FdSocketOptions<DoorConnection>, 'socket'>;

export interface ConnectionServer {
  /** 0 of a Unix socket, and of one that was listened on before. */
  readonly port: number;
  /** Of the listening socket. */
  readonly descriptor: number;
  /**
   * Serves until then, and resolves when the last connection is at its end.
   * @param beforeClosing called while the listening socket is still open
   */
  serveUntil(signal: AbortSignal, beforeClosing?: () => void): Promise<void>;
}

/** @throws Error at once when it cannot listen */
export function connectionServer(
  clock: Clock,
  deps: DoorDeps,
  address: Address,
  { connectionsMax = CONNECTIONS_MAX }: { readonly connectionsMax?: number } = {},
): ConnectionServer {
  const connections = new Set<DoorConnection>();
  const quiet = quietOf(connections);
  const own: ConnectionDeps = {
    ...deps,
    joiningRoom: joiningRoom(),
    idle: quiet.check,
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
  const server = listen(address, handlers);
  return {
    port: server.port ?? 0,
    descriptor: server.fd,
    serveUntil: async (signal, beforeClosing) => {
      await lookAtTime(clock, connections, signal);
      beforeClosing?.();
      server.stop();
      await endConnections(clock, connections, quiet);
    },
  };
}

/** What the types of the runtime (Bun 1.4.5) leave out: it listens on a descriptor, too, and tells its own. */
type Listening = { readonly fd: number; readonly port?: number; stop(): void };

function listen(address: Address, socket: SocketHandler<DoorConnection>): Listening {
  const options = { ...address, socket } as TCPSocketListenOptions<DoorConnection>;
  return Bun.listen(options) as unknown as Listening;
}

/** Somebody waits until all connections are so far. */
interface Quiet {
  /** To be called whenever one of them may have come so far, or is gone. */
  check(): void;
  until(isQuiet: (connection: DoorConnection) => boolean): Promise<void>;
}

function quietOf(connections: ReadonlySet<DoorConnection>): Quiet {
  let isQuiet: (connection: DoorConnection) => boolean = () => true;
  let told: (() => void) | undefined;
  const check = () => {
    if (told !== undefined && [...connections].every(isQuiet)) {
      told();
    }
  };
  return {
    check,
    until: (wanted) =>
      new Promise((resolve) => {
        isQuiet = wanted;
        told = resolve;
        check();
      }),
  };
}

async function lookAtTime(
  clock: Clock,
  connections: ReadonlySet<DoorConnection>,
  signal: AbortSignal,
): Promise<void> {
  while (await clock.sleep(msUntilBeat(clock, CHECK_INTERVAL_MS), signal)) {
    for (const connection of [...connections]) {
      connection.checkTime();
    }
  }
}

async function endConnections(
  clock: Clock,
  connections: ReadonlySet<DoorConnection>,
  quiet: Quiet,
): Promise<void> {
  for (const connection of [...connections]) {
    connection.leave();
  }
  const begun = clock.monotonic();
  /** @param limitMs from the beginning of the stop */
  const untilNone = async (limitMs: number, isLeft: (connection: DoorConnection) => boolean) => {
    const none = quiet.until((each) => !isLeft(each));
    await settledWithin(clock, begun + limitMs - clock.monotonic(), undefined, none);
  };
  await untilNone(LAST_REQUEST_MS, (each) => each.isWaiting);
  for (const connection of [...connections].filter((each) => !each.isFresh)) {
    connection.endIfWaiting();
  }
  await untilNone(FIRST_REQUEST_MS, (each) => each.isWaiting);
  for (const connection of [...connections]) {
    connection.endIfWaiting();
  }
  await untilNone(DRAIN_MS, (each) => each.isBusy);
  for (const connection of [...connections]) {
    if (connection.isBusy) {
      connection.destroy(); // The others have been ended in order.
    }
  }
}
