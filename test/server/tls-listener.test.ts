import { afterAll, beforeAll, expect, test } from 'bun:test';
import { connect, type TLSSocket } from 'node:tls';
import type { Clock } from '../../src/core/ports.ts';
import type { Listener } from '../../src/server/listener.ts';
import { manualClock } from '../support/manual-clock.ts';
import { type TestProxy, testProxy } from '../support/proxy-deps.ts';
import { okAnswer, type RawUpstream, rawUpstream } from '../support/raw-upstream.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import {
  DOOR_CERTIFICATE,
  rawExchange,
  doorRequest as request,
  TOKEN,
  tlsDoor,
} from '../support/tls-door.ts';
import { waitUntil } from '../vm/wait-until.ts';

let upstream: RawUpstream;
let proxy: TestProxy;
let listener: Listener;
/** Answers the request to /slow. */
let slow: () => void = () => undefined;
let onSlow: () => void = () => undefined;
let running: { done: Promise<void> };
const stop = new AbortController();

beforeAll(async () => {
  upstream = await rawUpstream(({ socket }, bytes) => {
    if (bytes.includes('Upgrade: SPDY/3.1')) {
      socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
    } else if (bytes.includes('/trailers ')) {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n');
      socket.write('3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n');
    } else if (bytes.includes('/slow ')) {
      slow = () => void socket.write(okAnswer('late but whole'));
      onSlow();
    } else if (/^[A-Z]+ /.test(bytes)) {
      socket.write(okAnswer('fine', ['X-Two: 1', 'X-Two: 2']));
    } else {
      socket.write(bytes.toUpperCase());
    }
  });
  proxy = testProxy(upstream.address);
  listener = door(scaledClock(100));
  running = await listener.start(stop.signal);
});
afterAll(async () => {
  stop.abort();
  await running.done;
  proxy[Symbol.dispose]();
  await upstream[Symbol.asyncDispose]();
});

const door = (clock: Clock) => tlsDoor(proxy, clock);
const raw = (bytes: string, until?: string) => rawExchange(listener.port(), bytes, until);

test('a request with the token is passed on with its raw path', async () => {
  const path = '/api/v1/namespaces/a/pods/b/proxy/x%2Fy/../z?a=%20';
  const answer = await raw(request(`/proxy${path}`, TOKEN), 'fine');
  expect(answer).toStartWith('HTTP/1.1 200 OK\r\n');
  expect(answer).toContain('X-Two: 1\r\nX-Two: 2\r\n');
  const received = upstream.received.join(''); // Whichever connection it took.
  expect(received).toContain(`GET ${path} HTTP/1.1\r\n`);
  expect(received).not.toContain('Bearer local');
});

test('TLS before 1.2 is refused', async () => {
  const tryVersion = (version: 'TLSv1.1' | 'TLSv1.2') =>
    new Promise<string | null>((resolve) => {
      const socket: TLSSocket = connect({
        host: '127.0.0.1',
        port: listener.port(),
        ca: DOOR_CERTIFICATE,
        minVersion: version,
        maxVersion: version,
      });
      socket.once('secureConnect', () => {
        resolve(socket.getProtocol());
        socket.destroy();
      });
      socket.once('error', (error) => resolve(error.message));
    });
  expect(await tryVersion('TLSv1.1')).toContain('ALERT_PROTOCOL_VERSION');
  expect(await tryVersion('TLSv1.2')).toBe('TLSv1.2');
});

test('trailers come through', async () => {
  expect(await raw(request('/proxy/trailers', TOKEN), '\r\n0\r\n')).toContain('X-Sum: 9\r\n\r\n');
});

test.each([
  ['no token', request('/proxy/api'), 401, 'LOCAL_TOKEN_REJECTED'],
  [
    'a wrong token',
    request('/proxy/api', 'Authorization: Bearer other'),
    401,
    'LOCAL_TOKEN_REJECTED',
  ],
  [
    'a foreign host',
    request('/proxy/api', TOKEN).replace('127.0.0.1', 'evil.example'),
    403,
    'FOREIGN_HOST',
  ],
  [
    'a foreign origin',
    request('/proxy/api', 'Origin: https://evil.example'),
    403,
    'FOREIGN_ORIGIN',
  ],
  [
    'an upgrade without a token',
    request('/proxy/x', 'Connection: Upgrade', 'Upgrade: SPDY/3.1'),
    401,
    'LOCAL_TOKEN_REJECTED',
  ],
])('%s is refused', async (_, bytes, status, code) => {
  const before = upstream.received.join('').length;
  const answer = await raw(bytes, '"code":');
  expect(answer).toStartWith(`HTTP/1.1 ${status} `);
  expect(answer).toContain(`"reason":"${code}"`);
  expect(upstream.received.join('')).toHaveLength(before);
});

test.each([
  [
    'a length twice',
    'POST /proxy/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
  ],
  [
    'a length and chunks',
    'POST /proxy/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a folded header', 'GET /proxy/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\r\n b\r\n\r\n'],
  [
    'a header of more than 1 MiB',
    `GET /proxy/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${'a'.repeat(1_100_000)}\r\n\r\n`,
  ],
  ['a space before a colon', 'GET /proxy/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX : a\r\n\r\n'],
])('%s is refused by the parser, and nothing is passed on', async (_, bytes) => {
  const before = upstream.received.join('').length;
  const answer = await raw(bytes.replace('\r\nHost', `\r\n${TOKEN}\r\nHost`));
  expect(answer === '' || /^HTTP\/1\.1 4\d\d /.test(answer)).toBe(true);
  expect(upstream.received.join('')).toHaveLength(before);
});

test.each([
  ['below /proxy', '/proxy/api/v1/pods?limit=1', '/api/v1/pods?limit=1'],
  ['at the root, for `kubectl proxy`', '/api/v1/pods?limit=2', '/api/v1/pods?limit=2'],
  ['a path that only begins alike', '/proxyapi', '/proxyapi'],
])('the API is served %s', async (_, path, target) => {
  expect(await raw(request(path, TOKEN), 'fine')).toStartWith('HTTP/1.1 200 ');
  expect(upstream.received.join('')).toContain(`GET ${target} HTTP/1.1\r\n`);
});

test.each(['http://localhost', 'https://evil.example', 'null'])(
  'the token decides, whatever the Origin: %s',
  async (origin) => {
    const answer = await raw(request('/proxy/api', TOKEN, `Origin: ${origin}`), 'fine');
    expect(answer).toStartWith('HTTP/1.1 200 ');
  },
);

test('an upgrade to something unknown is ignored, and the body counts', async () => {
  const post = request('/proxy/api', TOKEN, 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c');
  const bytes = `${post.replace('GET', 'POST').slice(0, -2)}Content-Length: 3\r\n\r\nabc`;
  expect(await raw(bytes, 'fine')).toStartWith('HTTP/1.1 200 ');
});

test('an upgrade is spliced', async () => {
  const bytes = request('/proxy/exec', TOKEN, 'Connection: Upgrade', 'Upgrade: SPDY/3.1');
  const answer = await raw(`${bytes}early`, 'EARLY');
  expect(answer).toBe(
    'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nEARLY',
  );
});

test('at its stop a request under way is answered, and what does not end is ended', async () => {
  const ask = (port: number) =>
    fetch(`https://127.0.0.1:${port}/proxy/slow`, {
      headers: { authorization: 'Bearer local' },
      tls: { ca: DOOR_CERTIFICATE },
    });
  for (const ends of [true, false]) {
    const asked = Promise.withResolvers<void>();
    onSlow = asked.resolve;
    const clock = manualClock();
    const leaving = door(clock);
    const stopping = new AbortController();
    const { done } = await leaving.start(stopping.signal);
    const outcome = ask(leaving.port()).then(
      (answer) => answer.text(),
      () => 'cut off',
    );
    await asked.promise;
    stopping.abort();
    await waitUntil('it waits for it', 5_000, async () => clock.remainingMs().includes(5_000));
    if (ends) {
      slow();
    } else {
      clock.advance(5_000);
    }
    expect(await outcome).toBe(ends ? 'late but whole' : 'cut off');
    await done;
  }
});

test('at its stop it ends what has no end of its own, and does not wait', async () => {
  const leaving = door(manualClock());
  const stopping = new AbortController();
  const { done } = await leaving.start(stopping.signal);
  const socket = connect({
    host: '127.0.0.1',
    port: leaving.port(),
    ca: DOOR_CERTIFICATE,
  });
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const bytes = request('/proxy/exec', TOKEN, 'Connection: Upgrade', 'Upgrade: SPDY/3.1');
  socket.on('secureConnect', () => socket.write(bytes));
  socket.once('data', () => stopping.abort());
  await closed;
  expect(stopping.signal.aborted).toBe(true);
  await done;
});

test('an upgraded connection whose caller has ended it is ended on this side, too', async () => {
  const socket: TLSSocket = connect({
    host: '127.0.0.1',
    port: listener.port(),
    ca: DOOR_CERTIFICATE,
  });
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const bytes = request('/proxy/exec', TOKEN, 'Connection: Upgrade', 'Upgrade: SPDY/3.1');
  socket.on('secureConnect', () => socket.write(bytes));
  socket.once('data', () => socket.end());
  await closed;
  expect(socket.bytesRead).toBeGreaterThan(0);
});

test('a port that is taken is PORT_IN_USE with what to do', async () => {
  const second = tlsDoor(proxy, manualClock(), listener.port());
  await expect(second.start(new AbortController().signal)).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    hint: expect.stringContaining('http.tls_port'),
  });
});
