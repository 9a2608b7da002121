/**
 * The wire in front of a server: each connection can be cut or frozen by the port that the server
 * sees it from. A frozen connection stays open, and nothing passes: no answer, no pong, no end.
 */
import { connect, createServer, type Socket } from 'node:net';

export interface Wire extends AsyncDisposable {
  readonly port: number;
  /** Ends the connection without another byte. */
  cut(serverSidePort: number): void;
  /** Nothing passes for `ms` milliseconds. */
  freeze(serverSidePort: number, ms: number): void;
}

interface Connection {
  readonly outer: Socket;
  readonly inner: Socket;
}

/** @param listen where clients connect; @param innerPort the server's port on loopback */
export function startWire(
  listen: { readonly hostname: string; readonly port: number },
  innerPort: number,
): Wire {
  const connections = new Map<number, Connection>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (outer) => {
    const inner = connect({ host: '127.0.0.1', port: innerPort, noDelay: true });
    const end = () => {
      connections.delete(inner.localPort ?? 0);
      outer.destroy();
      inner.destroy();
    };
    inner.once('connect', () => {
      connections.set(inner.localPort ?? 0, { outer, inner });
      outer.pipe(inner);
      inner.pipe(outer);
    });
    for (const socket of [outer, inner]) {
      // An error of either side is the end of both; the close that follows does it.
      socket.on('error', end);
      socket.on('close', end);
    }
  });
  let refused: Error | undefined;
  server.on('error', (error) => {
    refused = error;
  });
  server.listen(listen.port, listen.hostname);
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw refused ?? new Error(`Cannot listen on ${listen.hostname}:${listen.port}`);
  }
  const of = (port: number) => connections.get(port);
  return {
    port: address.port,
    cut: (port) => of(port)?.outer.destroy(),
    freeze: (port, ms) => {
      const connection = of(port);
      if (connection !== undefined) {
        freeze(connection, ms);
      }
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const { outer } of connections.values()) {
        outer.destroy();
      }
      await closed;
    },
  };
}

function freeze({ outer, inner }: Connection, ms: number): void {
  outer.unpipe(inner).pause();
  inner.unpipe(outer).pause();
  const timer = setTimeout(() => {
    if (!(outer.destroyed || inner.destroyed)) {
      outer.pipe(inner);
      inner.pipe(outer);
    }
  }, ms);
  // A frozen connection must not keep the process alive.
  timer.unref();
}
