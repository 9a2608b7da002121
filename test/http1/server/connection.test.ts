import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test';
import type { Listener } from '../../../src/server/listener.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';
import { type TestProxy, testProxy } from '../../support/proxy-deps.ts';
import { okAnswer, type RawUpstream, rawUpstream } from '../../support/raw-upstream.ts';
import { doorRequest, rawClient, TOKEN, tlsDoor } from '../../support/tls-door.ts';
import { waitUntil } from '../../vm/wait-until.ts';

const RECEIVE_MS = 20_000;
const KEEP_ALIVE_MS = 120_000;
const MIB = 1024 * 1024;

let upstream: RawUpstream;
let proxy: TestProxy;
let listener: Listener;
let clock: ManualClock;
let running: { done: Promise<void> };
const stop = new AbortController();
/** What the API server answers, by the path asked for. */
const answers = new Map<string, string>();

beforeAll(async () => {
  upstream = await rawUpstream(({ socket, received }) => {
    const begun =
      received()
        .split(/(?=(?:GET|HEAD|POST) \/)/)
        .at(-1) ?? '';
    const path = /^[A-Z]+ (\S+) HTTP/.exec(begun)?.[1] ?? '';
    const isWhole =
      !begun.startsWith('POST') || begun.endsWith('0\r\n\r\n') || begun.endsWith('END');
    if (isWhole || path === '/early') {
      socket.write(answers.get(path) ?? okAnswer(path));
    }
  });
  proxy = testProxy(upstream.address);
  clock = manualClock();
  listener = tlsDoor(proxy, clock);
  running = await listener.start(stop.signal);
});
beforeEach(() => answers.clear());
afterAll(async () => {
  stop.abort();
  await running.done;
  proxy[Symbol.dispose]();
  await upstream[Symbol.asyncDispose]();
});

const client = () => rawClient(listener.port());
const post = (path: string, ...headers: readonly string[]) =>
  doorRequest(path, TOKEN, ...headers).replace('GET', 'POST');
const statusLines = (text: string): readonly string[] =>
  Array.from(text.matchAll(/HTTP\/1\.1 \d+ [^\r]*/g), ([line]) => line);

test('one connection carries requests one after the other', async () => {
  using caller = await client();
  for (const path of ['/one', '/two', '/three']) {
    caller.socket.write(doorRequest(`/proxy${path}`, TOKEN));
    expect(await caller.until(path)).toEndWith(`\r\n\r\n${path}`);
  }
});

test('requests that are sent without waiting are answered in their order', async () => {
  using caller = await client();
  const paths = Array.from({ length: 50 }, (_, number) => `/number-${number}-`);
  caller.socket.write(paths.map((path) => doorRequest(`/proxy${path}`, TOKEN)).join(''));
  const text = await caller.until('/number-49-');
  expect(Array.from(text.matchAll(/\/number-\d+-/g), ([path]) => path)).toEqual(paths);
});

test('a request that comes in single bytes is one request', async () => {
  using caller = await client();
  caller.socket.setNoDelay(true);
  for (const byte of `\r\n${doorRequest('/proxy/bytes', TOKEN)}`) {
    caller.socket.write(byte);
    await new Promise(setImmediate);
  }
  expect(await caller.until('/bytes')).toStartWith('HTTP/1.1 200 OK\r\n');
});

test('a body in chunks goes on in chunks, and the next request behind it is found', async () => {
  using caller = await client();
  const body = '3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nX-Trailer: no\r\n\r\n';
  caller.socket.write(
    `${post('/proxy/chunks', 'Transfer-Encoding: chunked')}${body}${doorRequest('/proxy/next', TOKEN)}`,
  );
  await caller.until('/next');
  const sent = upstream.received.join('');
  expect(sent).toContain('Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n');
});

test('who waits for a 100 before a body gets one', async () => {
  using caller = await client();
  caller.socket.write(post('/proxy/expect', 'Expect: 100-continue', 'Content-Length: 3'));
  expect(await caller.until('100 Continue')).toBe('HTTP/1.1 100 Continue\r\n\r\n');
  caller.socket.write('END');
  await caller.until('/expect');
  expect(statusLines(caller.received())).toEqual(['HTTP/1.1 100 Continue', 'HTTP/1.1 200 OK']);
});

test('an answer that comes before the request is whole does not confuse the next one', async () => {
  using caller = await client();
  answers.set('/early', 'HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch');
  caller.socket.write(
    `${post('/proxy/early', `Content-Length: ${2 * MIB}`)}DELETE /proxy/inside HTTP`,
  );
  await caller.until('much');
  caller.socket.write('x'.repeat(2 * MIB - 'DELETE /proxy/inside HTTP'.length));
  caller.socket.write(doorRequest('/proxy/after', TOKEN));
  await caller.until('/after');
  expect(statusLines(caller.received())).toEqual(['HTTP/1.1 413 Too Large', 'HTTP/1.1 200 OK']);
  expect(upstream.received.join('')).not.toContain('DELETE /inside');
});

test('HEAD, 204 and 304 have no body, and the connection goes on', async () => {
  using caller = await client();
  answers.set('/head', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n');
  answers.set('/empty', 'HTTP/1.1 204 No Content\r\n\r\n');
  answers.set('/same', 'HTTP/1.1 304 Not Modified\r\n\r\n');
  caller.socket.write(doorRequest('/proxy/head', TOKEN).replace('GET', 'HEAD'));
  await caller.until('100\r\n\r\n');
  for (const [path, status] of [
    ['/empty', '204'],
    ['/same', '304'],
    ['/last', '200'],
  ]) {
    caller.socket.write(doorRequest(`/proxy${path}`, TOKEN));
    await caller.until(`1.1 ${status}`);
  }
  expect(await caller.until('/last')).toBe(
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\n\r\n',
      okAnswer('/last'),
    ].join(''),
  );
});

test('an answer of unknown length goes out in chunks, before HTTP/1.1 until the end', async () => {
  answers.set(
    '/open',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  );
  using caller = await client();
  caller.socket.write(doorRequest('/proxy/open', TOKEN));
  expect(await caller.until('0\r\n\r\n')).toBe(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  );
  using old = await client();
  old.socket.write(doorRequest('/proxy/open', TOKEN).replace('HTTP/1.1', 'HTTP/1.0'));
  await old.closed;
  expect(old.received()).toBe('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc');
});

test('who asks for the end of the connection gets it', async () => {
  using caller = await client();
  caller.socket.write(doorRequest('/proxy/bye', TOKEN, 'Connection: close'));
  await caller.closed;
  expect(caller.received()).toBe(
    'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n/bye',
  );
});

test('an upgrade that the API server refuses is answered, and the connection ends', async () => {
  using caller = await client();
  answers.set('/exec', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket'];
  caller.socket.write(`${doorRequest('/proxy/exec', TOKEN, ...upgrade)}GET /proxy/hidden HTTP/1.1`);
  await caller.closed;
  expect(caller.received()).toBe(
    'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno',
  );
});

test.each([
  ['no head of HTTP', 'hello\r\n\r\n', 400],
  ['a byte before the request', `\rX${doorRequest('/proxy/x', TOKEN)}`, 400],
  ['two empty lines before the request', `\r\n\r\n${doorRequest('/proxy/x', TOKEN)}`, 400],
  ['a length behind a vertical tab', post('/proxy/x', 'Content-Length: \v0'), 400],
  ['a coding behind a vertical tab', post('/proxy/x', 'Transfer-Encoding: \vchunked'), 400],
  ['a length for this connection only', post('/proxy/x', 'Connection: Content-Length'), 400],
  ['two programs', doorRequest('/proxy/x', TOKEN, 'User-Agent: a', 'User-Agent: b'), 400],
  [
    'an upgrade with a body',
    post('/proxy/x', 'Connection: Upgrade', 'Upgrade: SPDY/3.1', 'Content-Length: 1'),
    400,
  ],
  ['a line feed inside a header', doorRequest('/proxy/x', TOKEN, 'X: a\nY: b'), 400],
  ['a null byte in a header', doorRequest('/proxy/x', TOKEN, 'X: a\0b'), 400],
  ['two hosts', doorRequest('/proxy/x', TOKEN, 'Host: localhost'), 400],
  ['a length with a sign', post('/proxy/x', 'Content-Length: +3'), 400],
  ['an unknown coding', post('/proxy/x', 'Transfer-Encoding: gzip, chunked'), 400],
  ['a path with a control character', doorRequest('/proxy/\x01', TOKEN), 400],
  ['a head without an end', `GET /proxy/x HTTP/1.1\r\nX: ${'a'.repeat(MIB)}`, 431],
  ['a head that is too long', doorRequest('/proxy/x', TOKEN, `X: ${'a'.repeat(MIB)}`), 431],
  ['a head of many lines', doorRequest('/proxy/x', TOKEN, ...Array(10_000).fill('X: y')), 431],
])('%s is refused, and the connection ends', async (_, bytes, status) => {
  const before = upstream.received.join('').length;
  using caller = await client();
  caller.socket.write(bytes);
  await caller.closed;
  expect(statusLines(caller.received())).toEqual([`HTTP/1.1 ${status} Refused`]);
  expect(JSON.parse(caller.received().split('\r\n\r\n')[1] ?? '')).toMatchObject({
    kind: 'Status',
    code: status,
  });
  expect(upstream.received.join('')).toHaveLength(before);
});

test.each([
  ['that is no number', 'zz\r\n'],
  ['with a carriage return behind it', '5\r\r\n'],
  ['with a vertical tab behind it', '5\v\r\n'],
  ['that ends in a line feed only', '5\n'],
])('the size of a chunk %s ends the connection and the request', async (_, size) => {
  using caller = await client();
  caller.socket.write(`${post('/proxy/broken', 'Transfer-Encoding: chunked')}${size}`);
  await caller.closed;
  expect(caller.received()).toBe('');
});

test.each([
  ['nothing', '', RECEIVE_MS],
  ['half a head', 'GET /proxy/x HTTP/1.1\r\n', RECEIVE_MS],
  ['a request, and then nothing', doorRequest('/proxy/idle', TOKEN), KEEP_ALIVE_MS],
])('a connection that sends %s is ended after its time', async (_, bytes, limitMs) => {
  using caller = await client();
  caller.socket.write(bytes);
  if (bytes.includes('/idle')) {
    await caller.until('/idle');
  }
  const opened = clock.monotonic();
  let isClosed = false;
  void caller.closed.then(() => {
    isClosed = true;
  });
  await waitUntil('it is ended', 5_000, async () => {
    if (!isClosed) {
      clock.advance(5_000);
    }
    return isClosed;
  });
  expect(clock.monotonic() - opened).toBeGreaterThanOrEqual(limitMs);
});

test('who reads slowly makes the API server wait, and gets everything', async () => {
  const bytes = 24 * MIB;
  answers.set('/large', okAnswer('y'.repeat(bytes)));
  using caller = await client();
  caller.socket.pause();
  caller.socket.write(doorRequest('/proxy/large', TOKEN));
  await waitUntil('the answer has begun', 5_000, async () => caller.socket.bytesRead > 0);
  caller.socket.resume();
  const whole = okAnswer('y'.repeat(bytes));
  await waitUntil('all has come', 10_000, async () => caller.received().length >= whole.length);
  expect(caller.received() === whole).toBe(true); // Not toBe(): 24 MiB are no message.
});

test('who goes away takes the request along', async () => {
  answers.set('/never', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n');
  const caller = await client();
  caller.socket.write(doorRequest('/proxy/never', TOKEN));
  await caller.until('a\r\n');
  const open = upstream.open();
  caller.socket.destroy();
  await waitUntil('the API server is left', 5_000, async () => upstream.open() < open);
  expect(upstream.open()).toBe(open - 1);
});

test('a HEAD that the policy refuses has no body, and the connection goes on', async () => {
  const refusing = testProxy(upstream.address, {
    allow: () => ({ allowed: false, rule: 'test/rule', reason: 'Not this one' }),
  });
  const door = tlsDoor(refusing, manualClock());
  const stopping = new AbortController();
  const { done } = await door.start(stopping.signal);
  using caller = await rawClient(door.port());
  for (const headers of [[], ['Connection: close']]) {
    caller.socket.write(doorRequest('/proxy/api', TOKEN, ...headers).replace('GET', 'HEAD'));
  }
  await caller.closed;
  expect(statusLines(caller.received())).toEqual([
    'HTTP/1.1 403 Forbidden',
    'HTTP/1.1 403 Forbidden',
  ]);
  expect(caller.received()).not.toContain('{');
  stopping.abort();
  await done;
});

test('a HEAD that the door refuses gets the head of that answer alone', async () => {
  const answerTo = async (method: string) => {
    using caller = await client();
    caller.socket.write(
      doorRequest('/proxy/api', 'Authorization: Bearer wrong').replace('GET', method),
    );
    await caller.closed;
    return caller.received();
  };
  const whole = await answerTo('GET');
  const bodyAt = whole.indexOf('\r\n\r\n') + '\r\n\r\n'.length;
  expect(whole.slice(bodyAt)).toStartWith('{');
  expect(await answerTo('HEAD')).toBe(whole.slice(0, bodyAt));
});
