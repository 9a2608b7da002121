/** A small forward proxy: CONNECT or SOCKS5, whatever is asked for leads to one port of ours. */
import { connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { TestCertificates } from '../support/tls.ts';

/** https: CONNECT over TLS to the proxy itself. */
export type ProxyKind = 'http' | 'https' | 'socks5';

export interface FakeProxy extends AsyncDisposable {
  readonly port: number;
  /** What was asked for: `host:port`. */
  readonly targets: readonly string[];
}

/**
 * @param credentials `user:password`, empty for none
 * @param certificates of an https proxy
 */
export function startProxy(
  kind: ProxyKind,
  credentials: string,
  leadsTo: number,
  certificates?: TestCertificates,
): Promise<FakeProxy> {
  const targets: string[] = [];
  const sockets = new Set<Socket>();
  const onClient = (client: Socket) => {
    sockets.add(client);
    client.on('error', () => undefined).on('close', () => sockets.delete(client));
    const serve = kind === 'socks5' ? serveSocks5 : serveConnect;
    serve(client, credentials, (target) => {
      targets.push(target);
      const upstream = connect(leadsTo, '127.0.0.1');
      sockets.add(upstream);
      upstream.on('error', () => client.destroy()).on('close', () => client.destroy());
      client.on('close', () => upstream.destroy());
      client.pipe(upstream);
      upstream.pipe(client);
    });
  };
  const server =
    kind === 'https' ? createTlsServer({ ...certificates }, onClient) : createServer(onClient);
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : 0,
        targets,
        [Symbol.asyncDispose]: async () => {
          for (const socket of sockets) {
            socket.destroy();
          }
          server.close();
        },
      });
    });
  });
}

function serveConnect(
  client: Socket,
  credentials: string,
  forward: (target: string) => void,
): void {
  client.once('data', (data) => {
    const [line = '', ...headers] = data.toString('latin1').split('\r\n');
    const wanted = `Proxy-Authorization: Basic ${Buffer.from(credentials).toString('base64')}`;
    if (credentials !== '' && !headers.includes(wanted)) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    forward(line.split(' ')[1] ?? '');
  });
}

function serveSocks5(client: Socket, credentials: string, forward: (target: string) => void): void {
  const readTarget = (data: Buffer) => {
    const length = data[4] ?? 0;
    const host = data.subarray(5, 5 + length).toString();
    client.write(Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
    forward(`${host}:${data.readUInt16BE(5 + length)}`);
  };
  client.once('data', (greeting: Buffer) => {
    const method = credentials === '' ? 0 : 2;
    if (!greeting.subarray(2).includes(method)) {
      client.end(Uint8Array.of(5, 0xff));
      return;
    }
    client.write(Uint8Array.of(5, method));
    if (method === 0) {
      client.once('data', readTarget);
      return;
    }
    client.once('data', (login: Buffer) => {
      const userLength = login[1] ?? 0;
      const user = login.subarray(2, 2 + userLength).toString();
      const given = `${user}:${login.subarray(3 + userLength).toString()}`;
      client.write(Uint8Array.of(1, given === credentials ? 0 : 1));
      client.once('data', readTarget);
    });
  });
}
