/**
 * A TCP relay that holds each piece of data for a while: in order within a connection, as TCP gives
 * it, and out of order among connections and directions, each of which waits on its own.
 */
import { connect, createServer, type Socket } from 'node:net';

export interface RelayOptions {
  readonly listen: { readonly hostname: string; readonly port: number };
  readonly target: { readonly hostname: string; readonly port: number };
  /** How long the next piece is held at least, ms. */
  readonly delayMs: () => number;
}

export async function startSlowRelay(options: RelayOptions): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (outer) => {
    const { hostname: host, port } = options.target;
    const inner = connect({ host, port, noDelay: true });
    for (const socket of [outer, inner]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
    }
    pass(outer, inner, options.delayMs);
    pass(inner, outer, options.delayMs);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.listen.port, options.listen.hostname, resolve);
  });

  /** What is held passes in order, the end of the connection too. */
  function pass(from: Socket, to: Socket, delayMs: () => number): void {
    let order = Promise.resolve();
    const later = (act: () => void) => {
      const due = performance.now() + delayMs();
      order = order.then(async () => {
        await Bun.sleep(Math.max(0, due - performance.now()));
        act();
      });
    };
    from.on('data', (data) => later(() => to.write(data)));
    from.on('close', () => {
      sockets.delete(from);
      later(() => to.destroy());
    });
  }

  return {
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) {
        socket.destroy();
      }
      await closed;
    },
  };
}
