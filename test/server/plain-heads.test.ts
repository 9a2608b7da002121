import { expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { forward } from '../../src/proxy/forward.ts';
import { httpServer } from '../../src/server/doors.ts';
import { memoryLog } from '../support/memory-log.ts';
import { NO_KEPT_SOCKETS } from '../support/no-kept-sockets.ts';
import { testProxy } from '../support/proxy-deps.ts';
import { okAnswer, rawUpstream } from '../support/raw-upstream.ts';
import { NO_SOURCES } from '../support/server-sources.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { doorRequest, TOKEN } from '../support/tls-door.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;

/** Both plain doors before an API server that answers each whole head. */
async function doors() {
  const upstream = await rawUpstream(({ socket }, bytes) => {
    if (bytes.endsWith('\r\n\r\n')) {
      socket.write(okAnswer('taken'));
    }
  });
  const proxy = testProxy(upstream.address);
  const directory = await tempDirectory();
  const socketPath = join(directory.path, 'agent.sock');
  const server = httpServer(
    {
      clock: systemClock,
      log: memoryLog(),
      files: systemFiles('/'),
      kept: NO_KEPT_SOCKETS,
      sources: {
        ...NO_SOURCES,
        auth: { accepts: (given) => given === 'Bearer local' },
        proxy: { forward: (request, sink) => forward(proxy.deps, request, sink) },
      },
    },
    { port: 0, socketPath },
  );
  const stop = new AbortController();
  const { done } = await server.start(stop.signal);
  return {
    upstream,
    places: { loopback: { port: server.port(), host: '127.0.0.1' }, socket: { path: socketPath } },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
      proxy[Symbol.dispose]();
      await upstream[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

interface Caller {
  readonly socket: Socket;
  received(): string;
}

function caller(place: { port: number; host: string } | { path: string }, bytes: string): Caller {
  const socket = connect(place);
  let text = '';
  socket.on('data', (piece) => {
    text += piece.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.write(bytes);
  return { socket, received: () => text };
}

async function exchange(place: Parameters<typeof caller>[0], bytes: string): Promise<string> {
  const { socket, received } = caller(place, bytes);
  await until('an answer', () => received().includes('\r\n\r\n'));
  socket.destroy();
  return received();
}

test.each(['loopback', 'socket'] as const)(
  'the plain door takes heads as large as the API server does: %s',
  async (door) => {
    await using agent = await doors();
    const place = agent.places[door];
    const large = `X-Large: ${'a'.repeat(1_000_000)}`;
    const lines = Array.from({ length: 9_000 }, (_, number) => `X-${number}: b`);
    for (const request of [
      doorRequest('/proxy/api', TOKEN, large),
      doorRequest('/proxy/api', TOKEN, ...lines),
      doorRequest(`/proxy/api?labelSelector=${'c'.repeat(700_000)}`, TOKEN),
      doorRequest('/version', large),
    ]) {
      expect(await exchange(place, request)).toStartWith('HTTP/1.1 200 OK\r\n');
    }
    expect(agent.upstream.received.join('').split('\r\n')).toContain(large);
    for (const request of [
      doorRequest('/proxy/api', TOKEN, `X: ${'a'.repeat(MIB)}`),
      doorRequest('/proxy/api', TOKEN, ...Array(10_001).fill('X: y')),
      doorRequest(`/version?${'c'.repeat(MIB)}`),
    ]) {
      const [head, body = ''] = (await exchange(place, request)).split('\r\n\r\n');
      expect(head).toStartWith('HTTP/1.1 431 ');
      expect(JSON.parse(body)).toMatchObject({ error: { code: 'PROXY_REQUEST_INVALID' } });
    }
  },
);

test('heads without an end at the plain door fill a bounded memory, and small requests pass', async () => {
  await using agent = await doors();
  const place = agent.places.loopback;
  const endless = Array.from({ length: 40 }, () =>
    caller(place, `GET /version HTTP/1.1\r\nX: ${'a'.repeat(MIB - 1_000)}`),
  );
  const refused = () => endless.filter(({ received }) => received().includes(' 431 ')).length;
  await until('some are refused', () => refused() >= 7);
  expect(await exchange(place, doorRequest('/version'))).toStartWith('HTTP/1.1 200 OK');
  expect(refused()).toBeLessThan(12);
  for (const { socket } of endless) {
    socket.destroy();
  }
  const large = doorRequest('/version', `X: ${'a'.repeat(MIB - 1_000)}`);
  await until('there is room again', async () =>
    (await exchange(place, large)).startsWith('HTTP/1.1 200 OK'),
  );
});

test.each([
  [
    'an upload to it',
    'POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabc',
    405,
  ],
  ['two lengths', doorRequest('/proxy/x', TOKEN, 'Content-Length: 1', 'Content-Length: 2'), 400],
])('the plain door reads what it is asked byte by byte: %s', async (_, request, status) => {
  await using agent = await doors();
  const answer = await exchange(agent.places.loopback, request);
  expect(answer).toStartWith(`HTTP/1.1 ${status} `);
  expect(agent.upstream.received.join('')).not.toContain('/version');
});
