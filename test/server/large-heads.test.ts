import { expect, test } from 'bun:test';
import { manualClock } from '../support/manual-clock.ts';
import { testProxy } from '../support/proxy-deps.ts';
import { okAnswer, rawUpstream } from '../support/raw-upstream.ts';
import { doorRequest, rawClient, rawExchange, TOKEN, tlsDoor } from '../support/tls-door.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;

/** The TLS door before an API server that answers each whole head. */
async function door() {
  const upstream = await rawUpstream(({ socket }, bytes) => {
    if (bytes.endsWith('\r\n\r\n')) {
      socket.write(okAnswer('taken'));
    }
  });
  const proxy = testProxy(upstream.address);
  const listener = tlsDoor(proxy, manualClock());
  const stop = new AbortController();
  const { done } = await listener.start(stop.signal);
  return {
    upstream,
    port: listener.port(),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
      proxy[Symbol.dispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** With a head of exactly so many bytes, most of them in one header. */
function requestOf(bytes: number): string {
  const rest = doorRequest('/proxy/api/v1/pods', TOKEN, 'X-Large: ').length - '\r\n\r\n'.length;
  return doorRequest('/proxy/api/v1/pods', TOKEN, `X-Large: ${'a'.repeat(bytes - rest)}`);
}

test('the door takes heads as large as the API server does, and passes them on whole', async () => {
  await using agent = await door();
  expect(await rawExchange(agent.port, requestOf(MIB), 'taken')).toStartWith('HTTP/1.1 200 OK');
  const lines = Array.from({ length: 9_000 }, (_, number) => `X-${number}: ${'b'.repeat(90)}`);
  const many = doorRequest('/proxy/api/v1/pods', TOKEN, ...lines);
  expect(await rawExchange(agent.port, many, 'taken')).toStartWith('HTTP/1.1 200 OK');
  const query = `labelSelector=${'c'.repeat(700_000)}`;
  const long = doorRequest(`/proxy/api/v1/pods?${query}`, TOKEN);
  expect(await rawExchange(agent.port, long, 'taken')).toStartWith('HTTP/1.1 200 OK');
  const sent = new Set(agent.upstream.received.join('').split('\r\n'));
  expect({
    header: sent.has(requestOf(MIB).split('\r\n').at(-3) ?? ''),
    lines: lines.every((line) => sent.has(line)),
    query: sent.has(`GET /api/v1/pods?${query} HTTP/1.1`),
  }).toEqual({ header: true, lines: true, query: true });
});

test('heads without an end fill a bounded memory, and small requests pass meanwhile', async () => {
  await using agent = await door();
  const endless = await Promise.all(Array.from({ length: 40 }, () => rawClient(agent.port)));
  for (const { socket } of endless) {
    socket.write(`GET /proxy/x HTTP/1.1\r\nX: ${'a'.repeat(MIB - 1_000)}`);
  }
  const refused = () => endless.filter((each) => each.received().includes(' 431 ')).length;
  // 32 MiB are shared.
  await until('some are refused', () => refused() >= 7);
  const small = doorRequest('/proxy/api/v1/pods', TOKEN);
  expect(await rawExchange(agent.port, small, 'taken')).toStartWith('HTTP/1.1 200 OK');
  expect(refused()).toBeLessThan(12);
  for (const each of endless) {
    each[Symbol.dispose]();
  }
  const large = () => rawExchange(agent.port, requestOf(MIB), '\r\n\r\n');
  await until('there is room again', async () => (await large()).startsWith('HTTP/1.1 200 OK'));
});
