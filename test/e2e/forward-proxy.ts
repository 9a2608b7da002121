/** A company's proxy: CONNECT (RFC 9110 section 9.3.6) with Basic credentials, to wherever it is asked for. */
import { connect, createServer, type Socket } from 'node:net';

export interface ForwardProxy extends AsyncDisposable {
  readonly port: number;
  /** What was asked for with the right credentials: `host:port`. */
  readonly targets: readonly string[];
}

/** @param credentials `user:password` */
export async function startForwardProxy(
  hostname: string,
  credentials: string,
): Promise<ForwardProxy> {
  const targets: string[] = [];
  const sockets = new Set<Socket>();
  const wanted = `Basic ${Buffer.from(credentials).toString('base64')}`;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    keep(client);
    client.on('error', () => undefined);
    client.once('data', (head) => {
      const text = head.toString('latin1');
      const [, host = '', port = ''] = /^CONNECT ([^ ]+):(\d+) /.exec(text) ?? [];
      const given = /^proxy-authorization: (.*)\r$/im.exec(text)?.[1];
      if (host === '' || given !== wanted) {
        const status = host === '' ? '405 Method Not Allowed' : '407 Proxy Authentication Required';
        client.end(
          `HTTP/1.1 ${status}\r\nProxy-Authenticate: Basic realm="proxy"\r\nContent-Length: 0\r\n\r\n`,
        );
        return;
      }
      targets.push(`${host}:${port}`);
      const upstream = connect(Number(port), host, () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        client.pipe(upstream).pipe(client);
      });
      keep(upstream);
      upstream.on('error', () => client.destroy()).on('close', () => client.destroy());
      client.on('close', () => upstream.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, hostname, resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    targets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) {
        socket.destroy();
      }
      server.close();
    },
  };
}
