/** What stands between an agent and its server and passes everything on but WebSockets. */
import { connect, createServer, type Socket } from 'node:net';
import type { Clock } from '../../src/core/ports.ts';

/**
 * strip: the upgrade goes on as a plain request. cut: closes after the 101. short: ends a WebSocket
 * after `lifeMs` of `clock`, idle: when nothing came over it for so long.
 */
export type Breakage = 'strip' | 'cut' | 'short' | 'idle' | 'none';

export interface BreakingProxy extends AsyncDisposable {
  readonly url: string;
  breakage: Breakage;
}

const UPGRADE = /^upgrade: websocket\r\n/im;
const CONNECTION_UPGRADE = /^connection: upgrade\r\n/im;

export async function startBreakingProxy(
  targetPort: number,
  breakage: Breakage,
  lifeMs: number,
  clock: Clock,
): Promise<BreakingProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', end).on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    let life: AbortController | undefined;
    const live = () => {
      if (life === undefined || proxy.breakage === 'idle') {
        life?.abort();
        life = new AbortController();
        void clock.sleep(lifeMs, life.signal).then((isOver) => isOver && end());
      }
    };
    let isWebSocket = false;
    client.on('data', (data) => {
      const head = data.toString('latin1');
      if (UPGRADE.test(head)) {
        isWebSocket = proxy.breakage === 'short' || proxy.breakage === 'idle';
        const stripped = head.replace(UPGRADE, '').replace(CONNECTION_UPGRADE, '');
        upstream.write(proxy.breakage === 'strip' ? stripped : data);
        return;
      }
      upstream.write(data);
      if (isWebSocket) {
        live();
      }
    });
    upstream.on('data', (data) => {
      client.write(data);
      const isAnswer = data.toString('latin1').startsWith('HTTP/1.1 101');
      if (isAnswer && proxy.breakage === 'cut') {
        client.destroySoon();
      } else if (isWebSocket) {
        live();
      }
    });
    client.on('close', () => life?.abort());
  });
  const proxy: BreakingProxy = {
    url: '',
    breakage,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) {
        socket.destroy();
      }
      server.close();
    },
  };
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      resolve(Object.assign(proxy, { url: `http://127.0.0.1:${port}` }));
    });
  });
}
