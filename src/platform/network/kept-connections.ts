/** Connections to one server that carry one call after the other. */
import { settledOrAborted } from '../../core/waiting.ts';
import { type ConnectionOwner, UpstreamConnection } from '../../http1/client/connection.ts';
import type { Exchange, ExchangeSink } from '../../http1/client/exchange.ts';
import { headRoom } from '../../http1/head-room.ts';
import type { ByteStream } from './byte-stream.ts';
import type { DialOptions } from './dial-options.ts';
import { dialStream } from './stream-dialer.ts';

/** Connections at once; more calls wait, */
const CONNECTIONS_MAX = 8;
/** up to so many. */
const WAITING_CALLS_MAX = 1_000;
/** An idle connection is closed after this; shorter than the usual 60 s of load balancers. */
const IDLE_MS_MAX = 45_000;
/** Bytes of a request that may wait for the system; then its writer waits. */
const UNSENT_BYTES_MAX = 64 * 1024;

/** What errors say of the server: they end the sentence "Cannot reach example.com: …". */
const PEER = { code: 'CONTROL_PLANE_UNREACHABLE', name: 'it', hint: '', answerHint: '' } as const;

/** A connection that is free for one call. */
export interface KeptConnection {
  begin(method: string, head: Uint8Array, sink: ExchangeSink): Exchange;
  /** Waits for room for more of a request. @returns whether there is still somebody to send it to */
  room(): Promise<boolean>;
  /** Bytes of a request that the system has not taken. */
  unsentBytes(): number;
}

export interface KeptConnections {
  /** @throws DialError; Error where too many wait; what the signal aborted with */
  acquire(signal: AbortSignal): Promise<KeptConnection>;
  /** Ends all of them. */
  close(): void;
}

/** @param address http or https */
export function keptConnections(address: URL, options: DialOptions): KeptConnections {
  const open = new Map<UpstreamConnection, KeptConnection>();
  /** The last one used is used first: the others grow old and go. */
  const idle = new Map<UpstreamConnection, Timer>();
  const { waitForPlace, wakeOne, wakeAll } = waitingCalls();
  let dialling = 0;
  let isClosed = false;

  const owner = {
    now: () => performance.now(),
    headRoom: headRoom(),
    idle: (connection: UpstreamConnection) => {
      if ((open.get(connection)?.unsentBytes() ?? 0) > 0) {
        connection.close(); // Answered before the request was whole: the rest may never be read.
        return;
      }
      idle.set(
        connection,
        setTimeout(() => connection.close(), IDLE_MS_MAX),
      );
      wakeOne();
    },
    closed: (connection: UpstreamConnection) => {
      clearTimeout(idle.get(connection));
      idle.delete(connection);
      open.delete(connection);
      wakeOne();
    },
  };
  const takeIdle = (): KeptConnection | undefined => {
    const [connection, timer] = [...idle].at(-1) ?? [];
    if (connection === undefined) {
      return undefined;
    }
    clearTimeout(timer);
    idle.delete(connection);
    return open.get(connection);
  };
  const dial = async (): Promise<void> => {
    dialling += 1;
    try {
      const stream = await dialStream(address, options);
      const { connection, kept } = carrying(stream, owner);
      open.set(connection, kept);
      if (isClosed) {
        connection.close();
      } else {
        owner.idle(connection);
      }
    } finally {
      dialling -= 1;
      wakeOne();
    }
  };
  return {
    acquire: async (signal) => {
      for (;;) {
        if (signal.aborted) {
          wakeOne(); // The place that this one was woken for is another one's.
          throw signal.reason;
        }
        if (isClosed) {
          throw new Error('the connections to it were closed here');
        }
        const found = takeIdle();
        if (found !== undefined) {
          return found;
        }
        if (open.size + dialling < CONNECTIONS_MAX) {
          // After an abort it is still dialled, and kept for the next call.
          await settledOrAborted(dial(), signal);
          continue;
        }
        await waitForPlace(signal);
      }
    },
    close: () => {
      isClosed = true;
      for (const connection of [...open.keys()]) {
        connection.close();
      }
      wakeAll(); // There may be more than there were connections.
    },
  };
}

/** Calls that wait for a place, in their order. */
function waitingCalls() {
  const waiting = new Set<() => void>();
  const wakeOne = () => {
    const [first] = waiting;
    if (first !== undefined) {
      waiting.delete(first);
      first();
    }
  };
  return {
    wakeOne,
    wakeAll: () => {
      while (waiting.size > 0) {
        wakeOne();
      }
    },
    /** Until it is woken or aborted. @throws Error where too many wait */
    waitForPlace: async (signal: AbortSignal) => {
      if (waiting.size >= WAITING_CALLS_MAX) {
        throw new Error(`${WAITING_CALLS_MAX} calls wait for it already`);
      }
      const woken = Promise.withResolvers<void>();
      waiting.add(woken.resolve);
      await settledOrAborted(woken.promise, signal);
      waiting.delete(woken.resolve);
    },
  };
}

/** A stream as the connection of our HTTP client. */
function carrying(stream: ByteStream, owner: ConnectionOwner) {
  let roomAgain = () => undefined;
  const socket = {
    // What the system does not take is kept by the stream: `room` is how its writer waits.
    write: (bytes: Uint8Array) => {
      stream.write(bytes);
      return bytes.length;
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    terminate: () => stream.destroy(),
  };
  const connection = new UpstreamConnection(socket, owner, PEER);
  let isOpen = true;
  stream.start({
    data: (bytes) => connection.received(bytes),
    drained: () => roomAgain(),
    closed: () => {
      isOpen = false;
      roomAgain();
      connection.ended();
    },
  });
  const kept: KeptConnection = {
    begin: (method, head, sink) => connection.begin(method, head, sink),
    room: async () => {
      if (isOpen && stream.unsentBytes() > UNSENT_BYTES_MAX) {
        await new Promise<void>((resolve) => {
          roomAgain = () => void resolve();
        });
      }
      return isOpen;
    },
    unsentBytes: () => stream.unsentBytes(),
  };
  return { connection, kept };
}
