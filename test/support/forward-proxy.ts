/** A small forward proxy, with a password where one is wanted: CONNECT (RFC 9110 section 9.3.6) or SOCKS5. */
import { connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { TestCertificates } from './tls.ts';

/** https: CONNECT over TLS to the proxy itself. */
export type ProxyKind = 'http' | 'https' | 'socks5';

export interface ForwardProxy extends AsyncDisposable {
  readonly port: number;
  /** What was asked for, with the right credentials: `host:port`. */
  readonly targets: readonly string[];
}

export interface ForwardProxyOptions {
  /** A port of this machine that all requests lead to; each to where it asks for when absent. */
  readonly leadsTo?: number;
  /** Of an https proxy. */
  readonly certificates?: TestCertificates;
}

/** @param credentials `user:password`, empty for none */
export function startForwardProxy(
  kind: ProxyKind,
  credentials: string,
  { leadsTo, certificates }: ForwardProxyOptions,
): Promise<ForwardProxy> {
  const targets: string[] = [];
  const sockets = new Set<Socket>();
  const onClient = (client: Socket) => {
    sockets.add(client);
    client.on('error', () => undefined).on('close', () => sockets.delete(client));
    const serve = kind === 'socks5' ? serveSocks5 : serveConnect;
    serve(client, credentials, (target, onOpen) => {
      targets.push(target);
      const [host = '', port] = target.split(':');
      const upstream =
        leadsTo === undefined
          ? connect(Number(port), host, onOpen)
          : connect(leadsTo, '127.0.0.1', onOpen);
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

type Forward = (target: string, onOpen: () => void) => void;

function serveConnect(client: Socket, credentials: string, forward: Forward): void {
  const wanted = `Basic ${Buffer.from(credentials).toString('base64')}`;
  client.once('data', (data) => {
    const head = data.toString('latin1');
    const [, target] = /^CONNECT ([^ ]+:\d+) /.exec(head) ?? [];
    const given = /^proxy-authorization: (.*)\r$/im.exec(head)?.[1];
    if (target === undefined) {
      client.end('HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\nContent-Length: 0\r\n\r\n');
    } else if (credentials !== '' && given !== wanted) {
      const asks = 'Proxy-Authenticate: Basic realm="proxy"\r\nContent-Length: 0';
      client.end(`HTTP/1.1 407 Proxy Authentication Required\r\n${asks}\r\n\r\n`);
    } else {
      forward(target, () => client.write('HTTP/1.1 200 Connection established\r\n\r\n'));
    }
  });
}

function serveSocks5(client: Socket, credentials: string, forward: Forward): void {
  const readTarget = (data: Buffer) => {
    const length = data[4] ?? 0;
    const host = data.subarray(5, 5 + length).toString();
    forward(`${host}:${data.readUInt16BE(5 + length)}`, () =>
      client.write(Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0)),
    );
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
