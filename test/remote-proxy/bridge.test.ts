import { expect, test } from 'bun:test';
import type { SessionLink } from '../../src/control-plane/session/ports.ts';
import { systemRandom } from '../../src/platform/random.ts';
import type { Destination } from '../../src/proxy/destination.ts';
import { proxyBridge } from '../../src/remote-proxy/bridge.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { testProxy } from '../support/proxy-deps.ts';
import { okAnswer, type RawConnection, rawUpstream } from '../support/raw-upstream.ts';
import { atRest, until } from '../support/until.ts';

interface Sent {
  readonly type: string;
  readonly id: string | undefined;
  readonly payload: Record<string, unknown>;
}

/** A bridge between a peer that is played by the test and an API server that answers so. */
async function bridge(
  onData: (connection: RawConnection, bytes: string) => void,
  options: { windowed?: boolean; allow?: Destination['allow'] } = {},
) {
  const upstream = await rawUpstream(onData);
  const proxy = testProxy(
    upstream.address,
    options.allow === undefined ? {} : { allow: options.allow },
  );
  const clock: ManualClock = manualClock();
  const sent: Sent[] = [];
  let waiters: (() => void)[] = [];
  let buffered = () => 0;
  const link: SessionLink = {
    kind: 'controller',
    clusterId: 'c',
    clusterUuid: 'u',
    windowed: options.windowed ?? false,
    send: (type, payload, id) => {
      sent.push({ type, id, payload });
      for (const wake of waiters.splice(0)) {
        wake();
      }
      return true;
    },
    sendBinary: () => true,
    bufferedBytes: () => buffered(),
    acceptsServiceToken: (token) => token === 'given',
  };
  const { destination, ...shared } = proxy.deps;
  const attached = proxyBridge({
    clock,
    log: memoryLog(),
    random: systemRandom,
    proxy: shared,
    destinations: {
      kubernetes: destination,
      applications: {
        service: ({ namespace, name, port }) => ({
          ...destination,
          locate: async () => ({
            ...{
              address: upstream.address,
              host: `${name}.${namespace}:${port}`,
              token: undefined,
            },
          }),
        }),
        host: () => undefined,
      },
    },
  }).attach(link);
  return {
    upstream,
    proxy,
    clock,
    sent,
    attached,
    countAsBuffered: (bytes: () => number) => {
      buffered = bytes;
    },
    say: (type: string, id: string | undefined, payload: Record<string, unknown> = {}) =>
      attached.message({ type, ...(id === undefined ? {} : { request_id: id }), payload }),
    /** Waits until something that fits was sent. */
    until: async (fits: (message: Sent) => boolean): Promise<Sent> => {
      for (;;) {
        const found = sent.find(fits);
        if (found !== undefined) {
          return found;
        }
        await new Promise<void>((resolve) => {
          waiters.push(resolve);
        });
      }
    },
    [Symbol.asyncDispose]: async () => {
      attached.close();
      proxy[Symbol.dispose]();
      await upstream[Symbol.asyncDispose]();
      waiters = [];
    },
  };
}

const TOKEN = { Authorization: 'Bearer given' };
const isOver = (message: Sent) => /response$|error$|end$|abort$/.test(message.type);
const base64 = (text: string) => Buffer.from(text).toString('base64');
const bodyOf = (sent: readonly Sent[]) =>
  sent
    .map(({ payload }) => Buffer.from(String(payload['data'] ?? ''), 'base64').toString())
    .join('');

test('a request is answered in one message, with repeated headers', async () => {
  await using peer = await bridge(({ socket }) =>
    socket.write(okAnswer('hello', ['X-Two: 1', 'x-other: 3', 'X-Two: 2'])),
  );
  peer.say('proxy_request', 'r1', {
    method: 'GET',
    path: '/api/v1/pods/x%2Fy',
    query: 'a=%20',
    headers: { ...TOKEN, Accept: ['a', 'b'], None: [], Nothing: null },
  });
  expect(await peer.until(isOver)).toEqual({
    type: 'proxy_response',
    id: 'r1',
    payload: {
      status: 200,
      headers: { 'Content-Length': ['5'], 'X-Two': ['1', '2'], 'x-other': ['3'] },
      body: base64('hello'),
      encoding: 'base64',
    },
  });
  expect(peer.upstream.received.join('')).toBe(
    'GET /api/v1/pods/x%2Fy?a=%20 HTTP/1.1\r\nHost: kubernetes.test\r\n' +
      'Authorization: Bearer agents-token\r\nAccept: a\r\nAccept: b\r\n\r\n',
  );
});

test('an answer without a body has none', async () => {
  await using peer = await bridge(({ socket }) => socket.write('HTTP/1.1 204 No\r\n\r\n'));
  peer.say('proxy_request', 'r1', { method: 'DELETE', path: '/x', headers: TOKEN });
  expect((await peer.until(isOver)).payload).toEqual({ status: 204, headers: {} });
});

test.each([
  ['text', { body: 'né' }, 'né'],
  ['base64', { body: base64('né'), body_encoding: 'Base64' }, 'né'],
  ['an object', { body: { a: [1] } }, '{"a":[1]}'],
])('a body that comes as %s is sent with its length', async (_, body, text) => {
  await using peer = await bridge(({ socket }) => socket.write(okAnswer('')));
  const headers = { ...TOKEN, 'Content-Length': '99' };
  peer.say('proxy_request', 'r1', { method: 'POST', path: '/x', headers, ...body });
  await peer.until(isOver);
  const sent = Buffer.from(peer.upstream.received.join(''), 'latin1').toString();
  expect(sent).toEndWith(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
});

test('a body that follows as a binary message', async () => {
  await using peer = await bridge(({ socket }, bytes) => {
    if (bytes.includes('abc')) {
      socket.write(okAnswer('ok'));
    }
  });
  const payload = { method: 'PUT', path: '/x', headers: TOKEN, body_binary: true, body_size: 3 };
  peer.say('proxy_request', 'r1', payload);
  peer.attached.binary(Buffer.from('\0\x02r1abc', 'latin1'));
  peer.attached.binary(Buffer.from('\0\x02r9abc', 'latin1')); // of nobody
  peer.attached.binary(Buffer.from('\0'));
  expect((await peer.until(isOver)).payload['status']).toBe(200);
});

test('both bodies are streamed when both sides want it', async () => {
  await using peer = await bridge(({ socket }, bytes) => {
    if (bytes.startsWith('POST')) {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    }
    if (bytes.includes('one')) {
      socket.write('3\r\nein\r\n');
    }
    if (bytes.includes('two')) {
      socket.write('4\r\nzwei\r\n0\r\n\r\n');
    }
  });
  peer.say('proxy_request', 'r1', {
    method: 'POST',
    path: '/x',
    headers: TOKEN,
    use_streaming: true,
    supports_response_streaming: true,
  });
  peer.say('proxy_request_chunk', 'r1', { data: base64('one') });
  await peer.until(({ type }) => type === 'proxy_response_chunk');
  peer.say('proxy_request_chunk', 'r1', { chunk: base64('two') });
  peer.say('proxy_request_stream_end', 'r1');
  await peer.until(isOver);
  expect(peer.sent.map(({ type, id }) => [type, id])).toEqual([
    ['proxy_response_header', 'r1'],
    ['proxy_response_chunk', 'r1'],
    ['proxy_response_chunk', 'r1'],
    ['proxy_response_end', 'r1'],
  ]);
  expect(bodyOf(peer.sent)).toBe('einzwei');
  expect(peer.sent[1]?.payload).toEqual({ data: base64('ein'), encoding: 'base64', size: 3 });
});

test.each([
  ['a value', { 'X-A': 'a\u010d\u010aTransfer-Encoding: chunked' }],
  ['a name', { 'X-A: a\u010d\u010aTransfer-Encoding': 'chunked' }],
])('%s of characters whose low bytes are a line break hides no second request', async (_, odd) => {
  await using peer = await bridge(({ socket }) => socket.write(okAnswer('secret')));
  const body = '0\r\n\r\nGET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n';
  peer.say('proxy_request', 'r1', {
    method: 'GET',
    path: '/version',
    headers: { ...TOKEN, ...odd },
    body,
  });
  const { payload } = await peer.until(isOver);
  expect(payload['status']).toBe(400);
  expect(Buffer.from(String(payload['body']), 'base64').toString()).toContain(
    'PROXY_REQUEST_INVALID',
  );
  expect(peer.upstream.received.join('')).toBe('');
});

const LONG = 'x'.repeat(70_000);

test.each<[string, Record<string, unknown>]>([
  ['a query that is an object', { query: { labelSelector: 'app=x' } }],
  ['a query that is a list', { query: [['labelSelector', 'app=x']] }],
  ['a query that is too long', { query: `labelSelector=${LONG}` }],
  ['a query with its "?"', { query: '?labelSelector=app' }],
  ['two queries', { path: '/api/v1/pods?labelSelector=app', query: 'limit=1' }],
  ['a method that is no text', { method: 7 }],
  ['a method that is too long', { method: 'D'.repeat(33) }],
  ['headers that are a list', { headers: [['Authorization', 'Bearer given']] }],
  ['headers that are a text', { headers: 'Authorization: Bearer given' }],
  ['a header that is a number', { headers: { ...TOKEN, 'If-Match': 7 } }],
  ['a header that is no text within a list', { headers: { ...TOKEN, 'If-Match': ['a', 7] } }],
  ['a body that is a number', { body: 7 }],
  ['a body in an unknown encoding', { body: 'H4sI', body_encoding: 'gzip' }],
  ['a body that is not base64', { body: 'eyJ}', body_encoding: 'base64' }],
  ['a body of which the end is missing', { body: 'eyJhI', body_encoding: 'base64' }],
  ['a flag that is a text', { body_binary: 'true', body_size: 3 }],
  ['a size that is a text', { body_binary: true, body_size: '3' }],
  ['a Service whose port is a text', { namespace: 'a', service_name: 'b', service_port: '80' }],
  ['a Service without a port', { namespace: 'a', service_name: 'b' }],
  ['an unknown scheme', { scheme: 'ftp' }],
  ['a timeout that is none', { timeout: 'soon' }],
  ['a timeout before now', { timeout: -1 }],
  ['a deadline that is none', { deadline: 'tomorrow' }],
])('%s is refused, never replaced', async (_, odd) => {
  await using peer = await bridge(({ socket }) => socket.write(okAnswer('done')));
  peer.say('proxy_request', 'r1', {
    method: 'DELETE',
    path: '/api/v1/namespaces/shop/pods',
    headers: TOKEN,
    ...odd,
  });
  expect(await peer.until(isOver)).toEqual({
    type: 'proxy_error',
    id: 'r1',
    payload: { error: expect.stringMatching(/^[a-z_]+: ./), code: 'PROXY_REQUEST_INVALID' },
  });
  expect(peer.upstream.received).toEqual([]);
});

test('an upgrade to something unknown is ignored, and the request answered', async () => {
  await using peer = await bridge(({ socket }) => socket.write(okAnswer('done')));
  const headers = { ...TOKEN, Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c' };
  peer.say('proxy_request', 'r1', { method: 'POST', path: '/x', headers, body: 'abc' });
  expect((await peer.until(isOver)).payload['status']).toBe(200);
  expect(peer.upstream.received.join('')).toEndWith('Content-Length: 3\r\n\r\nabc');
});

test.each<[string, Record<string, unknown>]>([
  ['an upgrade without its bytes', { Connection: 'Upgrade', Upgrade: 'SPDY/3.1' }],
  ['two options of a connection', { Connection: ['close', 'keep-alive'] }],
])('%s is refused, not forgotten', async (_, odd) => {
  await using peer = await bridge(() => undefined);
  peer.say('proxy_request', 'r1', { path: '/x', headers: { ...TOKEN, ...odd } });
  const { type, payload } = await peer.until(isOver);
  expect([type, payload['code']]).toEqual(['proxy_error', 'PROXY_REQUEST_INVALID']);
});

test('fields that a peer in Go leaves empty count as absent', async () => {
  await using peer = await bridge(({ socket }) => socket.write(okAnswer('done')));
  const empty = { namespace: '', service_name: '', service_port: 0, scheme: '', protocol: '' };
  const none = { body_encoding: '', body_size: 0, timeout: 0, deadline: '', body: null };
  const flags = { body_binary: false, use_streaming: null, is_websocket: null };
  peer.say('proxy_request', 'r1', {
    method: '',
    path: '/version',
    query: null,
    headers: TOKEN,
    ...empty,
    ...none,
    ...flags,
  });
  expect((await peer.until(isOver)).payload['status']).toBe(200);
});

test.each<[string, Record<string, unknown>]>([
  ['is not base64', { data: 'eyJ}' }],
  ['is no text', { data: 7 }],
  ['is missing', {}],
])('a piece of a body that %s ends the request', async (_, piece) => {
  await using peer = await bridge(() => undefined);
  peer.say('proxy_request', 'r1', { path: '/x', headers: TOKEN, use_streaming: true });
  peer.say('proxy_request_chunk', 'r1', piece);
  expect(await peer.until(isOver)).toEqual({
    type: 'proxy_error',
    id: 'r1',
    payload: { error: 'A piece of the body cannot be read', code: 'PROXY_REQUEST_INVALID' },
  });
});

test('a request without the credential of the registration is refused, and never sent on', async () => {
  await using peer = await bridge(({ socket }) => socket.write(okAnswer('secret')));
  for (const headers of [{}, { Authorization: 'Bearer other' }, { Authorization: 'Basic given' }]) {
    peer.sent.length = 0;
    peer.say('proxy_request', 'r1', { path: '/api', headers });
    const { payload } = await peer.until(isOver);
    expect(payload['status']).toBe(403);
    expect(Buffer.from(String(payload['body']), 'base64').toString()).toContain(
      'session/service-token',
    );
  }
  expect(peer.upstream.received).toEqual([]);
});

test('an application gets its own users, and the headers of the caller', async () => {
  await using peer = await bridge(({ socket }) => socket.write(okAnswer('app')));
  peer.say('proxy_request', 'r1', {
    path: '/',
    namespace: 'shop',
    service_name: 'web',
    service_port: 80,
    headers: { Authorization: 'Basic abc', Cookie: 'a=b' },
  });
  expect((await peer.until(isOver)).payload['status']).toBe(200);
  expect(peer.upstream.received.join('')).toBe(
    'GET / HTTP/1.1\r\nHost: web.shop:80\r\nAuthorization: Basic abc\r\nCookie: a=b\r\n\r\n',
  );
});

test('a cancel cancels: the API server sees it, and no more is sent', async () => {
  await using peer = await bridge(({ socket }) => socket.write('HTTP/1.1 200 OK\r\n\r\nfirst'));
  const payload = { path: '/x?watch=true', headers: TOKEN, supports_response_streaming: true };
  peer.say('proxy_request', 'r1', payload);
  await peer.until(({ type }) => type === 'proxy_response_chunk');
  peer.say('proxy_cancel', 'r1');
  await until('the API server is left', () => peer.upstream.open() === 0);
  expect(peer.sent.filter(isOver)).toEqual([]);
  expect(peer.proxy.deps.turns.counts().streams).toBe(0);
});

test('an agent that leaves ends a watch, and waits for what ends by itself', async () => {
  let finish: () => void = () => undefined;
  await using peer = await bridge(({ socket }, bytes) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n');
    if (bytes.includes('/finite')) {
      finish = () => socket.write('0\r\n\r\n');
    }
  });
  const payload = { headers: TOKEN, supports_response_streaming: true };
  peer.say('proxy_request', 'watch', { path: '/x?watch=true', ...payload });
  peer.say('proxy_request', 'whole', { path: '/x?watch=true', headers: TOKEN });
  peer.say('proxy_request', 'finite', { path: '/finite', ...payload });
  for (const id of ['watch', 'finite']) {
    await peer.until((message) => message.id === id && message.type === 'proxy_response_chunk');
  }
  await until('all have been asked for', () => peer.upstream.received.length === 3);
  peer.attached.goAway();
  peer.say('proxy_request', 'late', { path: '/finite', ...payload });
  const ends = ['watch', 'whole', 'late'].map((id) =>
    peer.until((message) => message.id === id && isOver(message)),
  );
  expect((await Promise.all(ends)).map(({ type }) => type)).toEqual([
    ...['proxy_response_end', 'proxy_response', 'proxy_error'],
  ]);
  expect(peer.attached.underWay()).toBe(1);
  finish();
  await peer.until((message) => message.id === 'finite' && isOver(message));
  expect(peer.attached.underWay()).toBe(0);
});

test('the end of the connection cancels everything', async () => {
  await using peer = await bridge(({ socket }) => socket.write('HTTP/1.1 200 OK\r\n\r\nfirst'));
  const payload = { path: '/x?watch=true', headers: TOKEN, supports_response_streaming: true };
  for (const id of ['r1', 'r2']) {
    peer.say('proxy_request', id, payload);
    await peer.until((message) => message.id === id && message.type === 'proxy_response_chunk');
  }
  peer.attached.close();
  await until('the API server is left', () => peer.upstream.open() === 0);
  expect(peer.attached.underWay()).toBe(0);
});

test('a window bounds what is under way; the peer opens it again', async () => {
  const MIB = 'x'.repeat(1024 * 1024);
  await using peer = await bridge(({ socket }) => socket.write(okAnswer(MIB.repeat(8))), {
    windowed: true,
  });
  const payload = { path: '/x', headers: TOKEN, supports_response_streaming: true };
  peer.say('proxy_request', 'r1', payload);
  const received = () => bodyOf(peer.sent).length;
  await until('it comes', () => received() > 0);
  expect(await atRest(received)).toBeLessThan(3 * MIB.length);
  peer.say('proxy_window', 'r1', { bytes: 8 * MIB.length });
  await peer.until(isOver);
  expect(received()).toBe(8 * MIB.length);
});

test('a small answer to a peer that counts windows is one message', async () => {
  await using peer = await bridge(({ socket }) => socket.write(okAnswer('small')), {
    windowed: true,
  });
  const payload = { path: '/x', headers: TOKEN, supports_response_streaming: true };
  peer.say('proxy_request', 'r1', payload);
  await peer.until(isOver);
  expect(peer.sent).toEqual([
    {
      type: 'proxy_response',
      id: 'r1',
      payload: {
        status: 200,
        headers: { 'Content-Length': ['5'] },
        body: base64('small'),
        encoding: 'base64',
      },
    },
  ]);
});

test('a full connection makes the cluster wait until it has room', async () => {
  const MIB = 'x'.repeat(1024 * 1024);
  await using peer = await bridge(({ socket }) => socket.write(okAnswer(MIB.repeat(8))));
  peer.countAsBuffered(() => 2 * MIB.length);
  const payload = { path: '/x', headers: TOKEN, supports_response_streaming: true };
  peer.say('proxy_request', 'r1', payload);
  await peer.clock.whenSleeping(1);
  await atRest(() => peer.sent.length);
  expect(bodyOf(peer.sent).length).toBeLessThan(3 * MIB.length);
  peer.countAsBuffered(() => 0);
  await until('all has come', () => {
    peer.clock.advance(5);
    return peer.sent.some(isOver);
  });
  expect(bodyOf(peer.sent).length).toBe(8 * MIB.length);
});

test('a connection that one answer has filled makes all others wait at once', async () => {
  const MIB = 'x'.repeat(1024 * 1024);
  await using peer = await bridge(({ socket }) => socket.write(okAnswer(MIB.repeat(4))));
  const payload = { path: '/x', headers: TOKEN, supports_response_streaming: true };
  const ids = Array.from({ length: 32 }, (_, index) => `r${index}`);
  const sentBytes = () =>
    peer.sent.reduce((sum, each) => sum + Number(each.payload['size'] ?? 0), 0);
  peer.countAsBuffered(sentBytes);
  for (const id of ids) {
    peer.say('proxy_request', id, payload);
  }
  await until('it comes', () => sentBytes() > 0);
  // What fills it, and one read beyond that.
  expect(await atRest(sentBytes)).toBeLessThan(2 * MIB.length);
  peer.countAsBuffered(() => 0);
  await until('all have their answer', () => {
    peer.clock.advance(5);
    return peer.sent.filter(isOver).length === ids.length;
  });
  expect(sentBytes()).toBe(ids.length * 4 * MIB.length);
});

test('whole answers leave one after the other where the connection is full', async () => {
  const MIB = 'x'.repeat(1024 * 1024);
  await using peer = await bridge(({ socket }) => socket.write(okAnswer(MIB.repeat(2))));
  const answers = () => peer.sent.filter(({ type }) => type === 'proxy_response').length;
  let taken = 0;
  peer.countAsBuffered(() => (answers() - taken) * 2 * MIB.length);
  for (const id of ['r1', 'r2', 'r3']) {
    peer.say('proxy_request', id, { path: '/x', headers: TOKEN });
  }
  for (const sent of [1, 2, 3]) {
    await until('an answer comes', () => {
      peer.clock.advance(5);
      return answers() >= sent;
    });
    expect(await atRest(answers)).toBe(sent);
    taken = sent;
  }
});

test('a raw upgrade carries the bytes of the other protocol', async () => {
  await using peer = await bridge(({ socket }, bytes) =>
    socket.write(
      bytes.startsWith('GET')
        ? 'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n'
        : bytes.toUpperCase(),
    ),
  );
  peer.say('proxy_request', 'r1', {
    path: '/exec',
    headers: { ...TOKEN, Connection: 'Upgrade', Upgrade: 'SPDY/3.1' },
    raw_upgrade: true,
    supports_response_streaming: true,
  });
  const { payload } = await peer.until(({ type }) => type === 'proxy_response_header');
  expect(payload['status']).toBe(101);
  peer.say('proxy_request_chunk', 'r1', { data: base64('abc') });
  await peer.until(({ type }) => type === 'proxy_response_chunk');
  expect(bodyOf(peer.sent)).toBe('ABC');
  peer.say('proxy_request_stream_end', 'r1');
  await until('the API server is left', () => peer.upstream.open() === 0);
});

test.each([
  ['a deadline', { deadline: '2026-01-01T00:00:02.000000001Z' }],
  ['a deadline elsewhere', { deadline: '2026-01-01T01:00:02+01:00', timeout: '1h' }],
  ['a timeout before a deadline', { deadline: '2026-01-01T01:00:00Z', timeout: 2_000 }],
  ['a duration of Go', { timeout: '0m1.5s500ms' }],
])('%s ends the request in its time', async (_, limit) => {
  await using peer = await bridge(() => undefined);
  peer.say('proxy_request', 'r1', { path: '/slow', headers: TOKEN, ...limit });
  await peer.clock.advance(1_900);
  expect(peer.sent).toEqual([]);
  await peer.clock.advance(200);
  expect((await peer.until(isOver)).payload['code']).toBe('TIMEOUT');
});

test('a request whose deadline is over is not sent', async () => {
  await using peer = await bridge(({ socket }) => socket.write(okAnswer('late')));
  peer.say('proxy_request', 'r1', {
    method: 'DELETE',
    path: '/x',
    headers: TOKEN,
    deadline: '2025-12-31T23:59:59Z',
  });
  expect((await peer.until(isOver)).payload['code']).toBe('TIMEOUT');
  expect(peer.upstream.received).toEqual([]);
});

test.each([
  ['a deadline', { deadline: '2026-01-01T00:00:02.000000001Z' }],
  ['a deadline elsewhere', { deadline: '2026-01-01T01:00:02+01:00', timeout: '1h' }],
  ['a timeout before a deadline', { deadline: '2026-01-01T01:00:00Z', timeout: 2_000 }],
  ['a duration of Go', { timeout: '0m1.5s500ms' }],
])('%s ends the request in its time', async (_, limit) => {
  await using peer = await bridge(() => undefined);
  peer.say('proxy_request', 'r1', { path: '/slow', headers: TOKEN, ...limit });
  await peer.clock.advance(1_900);
  expect(peer.sent).toEqual([]);
  await peer.clock.advance(200);
  expect((await peer.until(isOver)).payload['code']).toBe('TIMEOUT');
});

test('a request whose deadline is over is not sent', async () => {
  await using peer = await bridge(({ socket }) => socket.write(okAnswer('late')));
  peer.say('proxy_request', 'r1', {
    method: 'DELETE',
    path: '/x',
    headers: TOKEN,
    deadline: '2025-12-31T23:59:59Z',
  });
  expect((await peer.until(isOver)).payload['code']).toBe('TIMEOUT');
  expect(peer.upstream.received).toEqual([]);
});

test('a timeout of the peer ends the request with an error', async () => {
  await using peer = await bridge(() => undefined);
  peer.say('proxy_request', 'r1', { path: '/slow', headers: TOKEN, timeout: '2s' });
  await peer.clock.whenSleeping(1);
  peer.clock.advance(2_000);
  expect(await peer.until(isOver)).toEqual({
    type: 'proxy_error',
    id: 'r1',
    payload: { error: 'The request took longer than its timeout', code: 'TIMEOUT' },
  });
});

test('nonsense is answered, or dropped where it names no request', async () => {
  await using peer = await bridge(({ socket }) => socket.write(okAnswer('')));
  peer.say('proxy_request', undefined, { path: '/x' });
  peer.say('proxy_request', 'r1', { path: 'no slash' });
  peer.say('proxy_request', 'r2', {});
  peer.say('proxy_request_chunk', 'r9', { data: 'AAAA' });
  peer.say('proxy_request_stream_end', 'r9');
  peer.say('proxy_cancel', 'r9');
  peer.say('proxy_window', 'r9', { bytes: -1 });
  peer.say('proxy_request', 'r3', { path: '/slow', headers: TOKEN, use_streaming: true });
  peer.say('proxy_request', 'r3', { path: '/slow', headers: TOKEN });
  expect(peer.sent.map(({ type, id, payload }) => [type, id, payload['code']])).toEqual([
    ['proxy_error', 'r1', 'PROXY_REQUEST_INVALID'],
    ['proxy_error', 'r2', 'PROXY_REQUEST_INVALID'],
    ['proxy_error', 'r3', 'PROXY_REQUEST_INVALID'],
  ]);
});

test('an answer that is too large for one message is an error that says what to do', async () => {
  await using peer = await bridge(({ socket }) =>
    socket.write(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(5 * 1024 * 1024)}`),
  );
  peer.say('proxy_request', 'r1', { path: '/big', headers: TOKEN });
  const { type, payload } = await peer.until(isOver);
  expect(type).toBe('proxy_error');
  expect(payload['error']).toContain('streamed');
});

test('a request of the session may have a head as large as at the doors, and none that is larger', async () => {
  await using peer = await bridge(({ socket }, bytes) => {
    if (bytes.endsWith('\r\n\r\n')) {
      socket.write(okAnswer('taken'));
    }
  });
  const value = 'a'.repeat(500_000);
  const large = { ...TOKEN, 'X-One': value, 'X-Two': value };
  const lines = Object.fromEntries(Array.from({ length: 10_001 }, (_, at) => [`X-${at}`, 'b']));
  peer.say('proxy_request', 'taken', { path: '/x', headers: large });
  expect((await peer.until(isOver)).payload).toMatchObject({ status: 200 });
  expect(peer.upstream.received.join('').split('\r\n')).toContain(`X-Two: ${value}`);
  const before = peer.upstream.received.join('').length;
  peer.say('proxy_request', 'large', { path: '/x', headers: { ...large, 'X-Three': value } });
  peer.say('proxy_request', 'lines', { path: '/x', headers: { ...TOKEN, ...lines } });
  for (const id of ['large', 'lines']) {
    const answer = await peer.until((message) => message.id === id && isOver(message));
    expect(answer.payload['status']).toBe(431);
  }
  expect(peer.upstream.received.join('')).toHaveLength(before);
});
