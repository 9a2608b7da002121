import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createServer, type Server } from 'node:net';
import type { Walk, Way } from '../../../src/core/probe.ts';
import { type ProxyServer, parseProxy } from '../../../src/core/proxy-settings.ts';
import { systemProbe } from '../../../src/platform/network/probe.ts';
import { askResolver } from '../../../src/platform/network/resolver-query.ts';
import { startForwardProxy } from '../../support/forward-proxy.ts';
import { makeCertificates, type TestCertificates } from '../../support/tls.ts';

const STEP_LIMIT_MS = 10_000;
/** For what stays silent. */
const SHORT_LIMIT_MS = 150;
const NEVER = new AbortController().signal;
const DATE = 'Sun, 06 Nov 1994 08:49:37 GMT';

let certificates: TestCertificates;
let secure: ReturnType<typeof serve>;
let plain: ReturnType<typeof serve>;

function serve(tls?: TestCertificates) {
  return Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    ...(tls === undefined ? {} : { tls: { cert: tls.cert, key: tls.key } }),
    fetch: (request, server) => {
      const { pathname } = new URL(request.url);
      if (pathname === '/ws' && server.upgrade(request)) {
        return undefined;
      }
      if (pathname === '/portal') {
        const headers = { 'content-type': 'text/html', server: 'squid/6', date: DATE };
        return new Response('<html>', { status: 403, headers });
      }
      const age = pathname.startsWith('/aged/') ? { age: pathname.slice('/aged/'.length) } : {};
      return new Response(null, { status: 204, headers: { date: DATE, ...age } });
    },
    websocket: { message: () => undefined },
  });
}

beforeAll(async () => {
  certificates = await makeCertificates(['127.0.0.1', 'server.test']);
  secure = serve(certificates);
  plain = serve();
});

afterAll(async () => {
  await Promise.all([secure.stop(true), plain.stop(true)]);
});

function way(url: string, rest: Partial<Way> = {}): Way {
  const given = { proxy: undefined, ca: undefined, ask: 'answer', beginsSmall: false };
  const limit = { stepLimitMs: STEP_LIMIT_MS };
  return { ...given, ...limit, url: new URL(url), address: '127.0.0.1', ...rest } as Way;
}

const walk = (...given: Parameters<typeof way>) => systemProbe.walk(way(...given), NEVER);

/** Without what differs from run to run. */
function seen({ steps, failure, certificate, answer }: Walk) {
  return {
    steps: steps.map(({ step }) => step),
    failed: failure && [failure.step, failure.kind, failure.why, failure.isSilent],
    certificate,
    status: answer?.status,
  };
}

async function proxyTo(port: number, credentials: string) {
  const proxy = await startForwardProxy('http', credentials, { leadsTo: port });
  const through = (given: string) =>
    parseProxy(`http://127.0.0.1:${proxy.port}`, given) as ProxyServer;
  return { through, targets: proxy.targets, [Symbol.asyncDispose]: proxy[Symbol.asyncDispose] };
}

test('a way that leads there names each of its steps, and what the server says', async () => {
  const { answer, ...rest } = await walk(`https://127.0.0.1:${secure.port}/`, {
    ca: certificates.ca,
  });
  expect(rest.steps.every(({ ms }) => Number.isInteger(ms) && ms >= 0)).toBe(true);
  expect(seen({ ...rest, answer })).toEqual({
    steps: ['tcp', 'tls', 'http'],
    failed: undefined,
    certificate: { issuer: 'Test CA', isPublic: false },
    status: 204,
  });
  expect(answer).toMatchObject({ serverTimeMs: Date.parse(DATE), location: undefined });
  expect(answer?.receivedAtMs).toBeGreaterThanOrEqual(answer?.sentAtMs ?? Number.NaN);
});

test.each([
  ['7200', 7_200_000],
  ['0', 0],
  ['-5', 0],
  ['soon', 0],
])(
  'the time of an answer that a cache has kept for "%s" seconds is that of now',
  async (age, ms) => {
    const { answer } = await walk(`http://127.0.0.1:${plain.port}/aged/${age}`);
    expect(answer?.serverTimeMs).toBe(Date.parse(DATE) + ms);
  },
);

test('a certificate of another authority is named with it, and the server is asked nothing', async () => {
  expect(seen(await walk(`https://127.0.0.1:${secure.port}/`))).toEqual({
    steps: ['tcp'],
    failed: [
      'tls',
      'authority',
      'its certificate is of an authority, "Test CA", that is not trusted here',
      false,
    ],
    certificate: { issuer: 'Test CA', isPublic: false },
    status: undefined,
  });
});

test('a certificate for another name fails TLS', async () => {
  const walked = await walk(`https://other.test:${secure.port}/`, { ca: certificates.ca });
  expect(walked.failure).toMatchObject({
    step: 'tls',
    kind: 'name',
    why: 'its certificate is for another name (IP Address:127.0.0.1, DNS:server.test)',
  });
});

test('a port on which nobody listens, and one that never answers', async () => {
  const silent = await listening(createServer(() => undefined));
  const url = `https://127.0.0.1:${silent.port}/`;
  const mute = await walk(url, { stepLimitMs: SHORT_LIMIT_MS });
  await silent.close();
  expect([mute.steps.map(({ step }) => step), mute.failure]).toEqual([
    ['tcp'],
    expect.objectContaining({ step: 'tls', isSilent: true, kind: 'other' }),
  ]);
  expect(mute.failure?.why).toMatch(/^it takes the connection, but to TLS no answer in 0\.\d s$/);
  expect(seen(await walk(url))).toMatchObject({
    steps: [],
    failed: ['tcp', 'other', 'it refuses connections', false],
  });
});

test('what speaks no TLS, and what speaks no HTTP', async () => {
  const noTls = await walk(`https://127.0.0.1:${plain.port}/`);
  expect(noTls.failure).toMatchObject({ step: 'tls', isSilent: false });
  const smtp = await listening(createServer((socket) => socket.end('220 mail ready\r\n\r\n')));
  const noHttp = await walk(`http://127.0.0.1:${smtp.port}/`);
  await smtp.close();
  expect(seen(noHttp)).toMatchObject({
    steps: ['tcp'],
    failed: ['http', 'other', 'its answer is not HTTP', false],
  });
});

test('the signal ends a walk, at the step where it is', async () => {
  const silent = await listening(createServer(() => undefined));
  const ended = new AbortController();
  const walking = systemProbe.walk(way(`http://127.0.0.1:${silent.port}/`), ended.signal);
  await silent.connected;
  ended.abort();
  expect((await walking).failure).toMatchObject({ isSilent: true });
  await silent.close();
});

test('a page for people has a sender', async () => {
  const { answer } = await walk(`http://127.0.0.1:${plain.port}/portal`);
  expect([answer?.status, answer?.pageBy]).toEqual([403, 'the proxy Squid']);
});

test('a WebSocket is asked for', async () => {
  const opened = await walk(`http://127.0.0.1:${plain.port}/ws`, { ask: 'websocket' });
  expect(seen(opened)).toMatchObject({ steps: ['tcp', 'websocket'], status: 101 });
  const refused = await walk(`http://127.0.0.1:${plain.port}/`, { ask: 'websocket' });
  expect(seen(refused)).toMatchObject({ steps: ['tcp', 'websocket'], status: 204 });
});

test('through a proxy: TLS with the server behind it', async () => {
  await using proxy = await proxyTo(secure.port ?? 0, 'ada:secret');
  const url = 'https://server.test/';
  const rest = { ca: certificates.ca, proxy: proxy.through('ada:secret') };
  expect(seen(await walk(url, rest))).toMatchObject({
    steps: ['tcp', 'proxy', 'tls', 'http'],
    failed: undefined,
    status: 204,
  });
  expect(proxy.targets).toEqual(['server.test:443']);
  const without = await walk(url, { ...rest, proxy: proxy.through('') });
  expect(seen(without)).toMatchObject({
    steps: ['tcp'],
    failed: ['proxy', 'proxy', 'the proxy asks for credentials', false],
  });
});

test('a large request that gets stuck on the way is silent, where a small one is answered', async () => {
  // A path that loses what does not fit into one packet: only the beginning arrives.
  const narrow = await listening(
    createServer((socket) =>
      socket.once('data', (bytes) => {
        if (bytes.toString('latin1').endsWith('\r\n\r\n') && bytes.length < 1_500) {
          socket.end('HTTP/1.1 204 No Content\r\n\r\n');
        }
      }),
    ),
  );
  const url = `http://127.0.0.1:${narrow.port}/`;
  const small = await walk(url);
  const large = await walk(url, { ask: 'large', stepLimitMs: SHORT_LIMIT_MS });
  await narrow.close();
  expect([small.answer?.status, large.failure?.step, large.failure?.isSilent]).toEqual([
    204,
    'http',
    true,
  ]);
});

test('TLS can begin with a packet that fits through every way', async () => {
  const sizes: number[] = [];
  const server = await listening(
    createServer((socket) => {
      socket.once('data', (bytes) => {
        sizes.push(bytes.length);
        socket.destroy();
      });
    }),
  );
  const url = `https://server.test:${server.port}/`;
  await walk(url);
  await walk(url, { beginsSmall: true });
  await server.close();
  expect(sizes).toEqual([expect.any(Number), expect.any(Number)]);
  expect(sizes.map((size) => size > 1_000)).toEqual([true, false]);
  const small = { ca: certificates.ca, beginsSmall: true };
  expect((await walk(`https://127.0.0.1:${secure.port}/`, small)).failure).toBeUndefined();
});

test('a resolver answers, refuses, stays silent or is not there', async () => {
  const codes: Readonly<Record<string, number>> = { known: 0, refused: 5, absent: 3 };
  const resolver = await Bun.udpSocket({
    hostname: '127.0.0.1',
    socket: {
      data: (socket, query, port, address) => {
        const code = codes[query.toString('latin1', 13, 13 + query.readUInt8(12))];
        if (code !== undefined) {
          const answer = Buffer.from(query);
          answer.writeUInt16BE(0x8180 + code, 2);
          socket.send(answer, port, address);
        }
      },
    },
  });
  const ask = (name: string, limitMs = STEP_LIMIT_MS) =>
    askResolver('127.0.0.1', name, limitMs, resolver.port);
  expect((await ask('known.test')).kind).toBe('answered');
  expect((await ask('absent.test')).kind).toBe('answered');
  expect((await ask('refused.test')).kind).toBe('refused');
  expect(await ask('mute.test', SHORT_LIMIT_MS)).toEqual({ kind: 'silent' });
  const { port } = resolver;
  resolver.close();
  expect(await askResolver('127.0.0.1', 'known.test', STEP_LIMIT_MS, port)).toEqual({
    kind: 'unreachable',
    why: 'it refuses connections',
  });
});

test('a name is resolved by the system, and an address is itself', async () => {
  expect(await systemProbe.resolve('192.0.2.7', STEP_LIMIT_MS)).toEqual(['192.0.2.7']);
  expect(await systemProbe.resolve('localhost', STEP_LIMIT_MS)).toContain('127.0.0.1');
  const unknown = systemProbe.resolve('name.invalid', STEP_LIMIT_MS);
  await expect(unknown).rejects.toBeInstanceOf(Error);
});

async function listening(server: Server) {
  const connected = Promise.withResolvers<void>();
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', () => undefined));
    connected.resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    connected: connected.promise,
    close: () => {
      for (const socket of sockets) {
        socket.destroy();
      }
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
