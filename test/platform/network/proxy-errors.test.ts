import { expect, test } from 'bun:test';
import { createServer, type Socket } from 'node:net';
import { type NetworkTrouble, troubleHint } from '../../../src/core/network-trouble.ts';
import { dialledHttp } from '../../../src/platform/network/dialled-http.ts';
import { startForwardProxy } from '../../support/forward-proxy.ts';

const HINT = (url: string) =>
  `Check the proxy ${url}, and the credentials for it (HTTPS_PROXY, control_plane.proxy)`;

/** Why nothing is reached through a proxy, and what to do about it. */
async function troubleThrough(url: string): Promise<readonly [string, string]> {
  const client = dialledHttp({ ca: undefined, proxy: { url, credentials: '', noProxy: '' } });
  try {
    await client.http('http://control.example/x');
    throw new Error('it was reached');
  } catch (thrown) {
    const { trouble } = thrown as { readonly trouble: NetworkTrouble };
    return [trouble.why, troubleHint(trouble)];
  } finally {
    client.close();
  }
}

/** A port whose connections are treated like this. */
async function withListener(
  onSocket: (socket: Socket) => void,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  const address = server.address();
  try {
    await use(typeof address === 'object' && address !== null ? address.port : 0);
  } finally {
    server.close();
  }
}

test('a proxy that refuses connections is what cannot be reached, not the server behind it', async () => {
  const gone = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  gone.stop(true);
  const url = `http://127.0.0.1:${gone.port}`;
  expect(await troubleThrough(url)).toEqual([
    `the proxy 127.0.0.1:${gone.port} cannot be reached: it refuses connections`,
    HINT(url),
  ]);
});

test('a proxy whose name is none is what cannot be resolved', async () => {
  const url = 'http://proxy.invalid:3128';
  expect(await troubleThrough(url)).toEqual([
    'the proxy proxy.invalid:3128 cannot be reached: its name cannot be resolved',
    HINT(url),
  ]);
});

test('a proxy that asks for credentials, closes or answers nonsense is named', async () => {
  await using asking = await startForwardProxy('http', 'user:secret', { leadsTo: 1 });
  const url = `http://127.0.0.1:${asking.port}`;
  expect(await troubleThrough(url)).toEqual(['the proxy asks for credentials', HINT(url)]);
  await withListener(
    (socket) => socket.destroy(),
    async (port) => {
      const at = `http://127.0.0.1:${port}`;
      expect(await troubleThrough(at)).toEqual(['the proxy closed the connection', HINT(at)]);
    },
  );
  await withListener(
    (socket) => socket.end('nonsense\r\n\r\n'),
    async (port) => {
      const at = `http://127.0.0.1:${port}`;
      expect(await troubleThrough(at)).toEqual([
        'the proxy answered something that is not HTTP',
        HINT(at),
      ]);
    },
  );
});
