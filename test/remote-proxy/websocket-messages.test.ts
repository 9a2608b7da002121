import { expect, test } from 'bun:test';
import type { SessionLink } from '../../src/control-plane/session/ports.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { KUBERNETES_PEER } from '../../src/proxy/kubernetes-destination.ts';
import { proxyBridge } from '../../src/remote-proxy/bridge.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { testProxy } from '../support/proxy-deps.ts';
import { until } from '../support/until.ts';

interface Sent {
  readonly type: string;
  readonly id: string | undefined;
  readonly payload: Record<string, unknown>;
}

/** A peer before an application with a WebSocket that answers in capitals, and a plain page. */
async function peerOf(protocols: string, windowed = false) {
  const messages: (string | Buffer)[] = [];
  const closes: number[] = [];
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request, self) => {
      const headers = protocols === '' ? {} : { 'Sec-WebSocket-Protocol': protocols };
      const upgraded = !request.url.includes('/page') && self.upgrade(request, { headers });
      return upgraded ? undefined : new Response('no socket here', { status: 404 });
    },
    websocket: {
      close: (_socket, code) => void closes.push(code),
      message: (socket, message) => {
        messages.push(message);
        if (typeof message === 'string') {
          socket.send(message.toUpperCase());
        } else if (message[0] === 9) {
          socket.close(4_001, 'enough');
        } else {
          socket.send(message);
        }
      },
    },
  });
  const proxy = testProxy({
    hostname: '127.0.0.1',
    port: server.port ?? 0,
    trust: 'plain',
    peer: KUBERNETES_PEER,
  });
  const sent: Sent[] = [];
  let wake = Promise.withResolvers<void>();
  const link: SessionLink = {
    kind: 'gateway',
    clusterId: 'c',
    clusterUuid: 'u',
    windowed,
    send: (type, payload, id) => {
      sent.push({ type, id, payload });
      wake.resolve();
      wake = Promise.withResolvers();
      return true;
    },
    sendBinary: () => true,
    bufferedBytes: () => 0,
    acceptsServiceToken: (token) => token === 'given',
  };
  const { destination, ...shared } = proxy.deps;
  const attached = proxyBridge({
    clock: manualClock(),
    log: memoryLog(),
    random: systemRandom,
    proxy: shared,
    destinations: {
      kubernetes: destination,
      applications: { service: () => destination, host: () => undefined },
    },
  }).attach(link);
  return {
    sent,
    messages,
    proxy,
    attached,
    closes,
    say: (type: string, id: string, payload: Record<string, unknown>) =>
      attached.message({ type, request_id: id, payload }),
    until: async (fits: () => boolean) => {
      while (!fits()) {
        await wake.promise;
      }
    },
    [Symbol.asyncDispose]: async () => {
      attached.close();
      proxy[Symbol.dispose]();
      await server.stop(true);
    },
  };
}

const framed = (opcode: number, text: string) =>
  Buffer.concat([Buffer.of(opcode), Buffer.from(text)]).toString('base64');
const APP = { namespace: 'shop', service_name: 'web', service_port: 80 };
const HEADERS = { Authorization: 'Bearer given' };

test('a WebSocket of an application: opened, spoken with in order, and closed by the peer', async () => {
  await using peer = await peerOf('');
  peer.say('proxy_request', 'r1', { path: '/chat', is_websocket: true, ...APP });
  await peer.until(() => peer.sent.length === 1);
  expect(peer.sent[0]).toMatchObject({
    type: 'proxy_response',
    id: 'r1',
    payload: { status: 101 },
  });
  peer.say('proxy_websocket_data', 'r1', { data: framed(1, 'one') });
  peer.say('ws_data', 'r1', { data: framed(2, 'two') });
  peer.say('ws_data', 'x', {
    request_id: 'r1',
    data: Buffer.from('three').toString('base64'),
    message_type: 1,
  });
  await peer.until(() => peer.sent.length === 4);
  expect(peer.sent.slice(1)).toEqual(
    [
      ['ONE', 1],
      ['two', 2],
      ['THREE', 1],
    ].map(([text, opcode]) => ({
      type: 'proxy_websocket_data',
      id: 'r1',
      payload: {
        request_id: 'r1',
        stream_id: 'r1',
        data: framed(Number(opcode), String(text)),
        message_type: opcode,
      },
    })) as never,
  );
  peer.say('proxy_websocket_close', 'r1', {});
  peer.say('proxy_websocket_data', 'r1', { data: framed(1, 'late') });
  expect(peer.proxy.deps.turns.counts().streams).toBe(0);
});

test('a streamed answer says that it is open as a header and an end', async () => {
  await using peer = await peerOf('chat');
  const payload = { path: '/', protocol: 'chat', supports_response_streaming: true, ...APP };
  peer.say('proxy_request', 'r1', payload);
  await peer.until(() => peer.sent.length === 2);
  expect(peer.sent.map(({ type }) => type)).toEqual([
    'proxy_response_header',
    'proxy_response_end',
  ]);
  expect(peer.sent[0]?.payload['headers']).toMatchObject({ 'Sec-WebSocket-Protocol': ['chat'] });
});

test('an application that closes tells the peer', async () => {
  await using peer = await peerOf('');
  peer.say('proxy_request', 'r1', { path: '/', isWebSocket: true, ...APP });
  await peer.until(() => peer.sent.length === 1);
  peer.say('ws_data', 'r1', { data: framed(2, '\x09') });
  await peer.until(() => peer.sent.length === 2);
  expect(peer.sent[1]).toEqual({
    type: 'proxy_websocket_close',
    id: 'r1',
    payload: { request_id: 'r1', stream_id: 'r1' },
  });
});

test('an agent that leaves tells both sides', async () => {
  await using peer = await peerOf('');
  peer.say('proxy_request', 'r1', { path: '/', isWebSocket: true, ...APP });
  await peer.until(() => peer.sent.length === 1);
  peer.say('proxy_request', 'r2', { path: '/', isWebSocket: true, ...APP });
  peer.attached.goAway();
  expect(peer.sent.slice(1)).toEqual([
    {
      type: 'proxy_websocket_close',
      id: 'r1',
      payload: { request_id: 'r1', stream_id: 'r1' },
    },
    { type: 'proxy_error', id: 'r2', payload: { error: 'The agent is stopping; ask again' } },
  ]);
  expect(peer.attached.underWay()).toBe(0);
  await until('the application is left', () => peer.closes.length > 0);
  expect(peer.closes).toEqual([1001]);
});

test('a page is no WebSocket: the peer hears why', async () => {
  await using peer = await peerOf('');
  peer.say('proxy_request', 'r1', { path: '/page', is_websocket: true, ...APP });
  await peer.until(() => peer.sent.length === 1);
  expect(peer.sent[0]).toEqual({
    type: 'proxy_error',
    id: 'r1',
    payload: { error: 'no socket here' },
  });
  const start = { stream_id: 's1', path: '/page', headers: HEADERS };
  peer.say('proxy_websocket_start', 's1', start);
  await peer.until(() => peer.sent.length === 3);
  expect(peer.sent.slice(1)).toEqual([
    {
      type: 'proxy_error',
      id: 's1',
      payload: { request_id: 's1', error: 'no socket here (status: 404)' },
    },
    { type: 'proxy_websocket_close', id: 's1', payload: { request_id: 's1', stream_id: 's1' } },
  ]);
});

test('a stream of the Kubernetes API needs the credential of the registration', async () => {
  await using peer = await peerOf('v4.channel.k8s.io');
  peer.say('ws_start', 's1', { stream_id: 's1', path: '/api/v1/namespaces/a/pods/b/exec' });
  await peer.until(() => peer.sent.length === 2);
  expect(peer.sent[0]?.payload['error']).toContain('(status: 403)');
  expect(peer.messages).toEqual([]);
});

test('a peer that names no protocol types standard input and reads text', async () => {
  await using peer = await peerOf('v4.channel.k8s.io');
  const path = '/api/v1/namespaces/a/pods/b/exec';
  peer.say('ws_start', 's1', { stream_id: 's1', path, headers: HEADERS });
  await until('the API is dialled', () => peer.proxy.deps.pool.connections() > 0);
  // Nothing tells a peer that a stream is open but its first message.
  await until('it is open', () => {
    peer.say('ws_data', 's1', { stream_id: 's1', data: framed(1, 'ls') });
    return peer.sent.length > 0;
  });
  expect(peer.messages[0]).toEqual(Buffer.from('\0ls'));
  expect(peer.sent[0]?.payload).toEqual({
    request_id: 's1',
    stream_id: 's1',
    data: framed(1, 'ls'),
    message_type: 1,
  });
});

test('a peer of today names a channel protocol, and reads text without channels all the same', async () => {
  await using peer = await peerOf('v4.channel.k8s.io');
  const path = '/api/v1/namespaces/a/pods/b/exec';
  const start = { stream_id: 's1', path, protocol: 'v4.channel.k8s.io', headers: HEADERS };
  peer.say('proxy_websocket_start', 's1', start);
  // What comes before it is open waits for that.
  peer.say('ws_data', 's1', { stream_id: 's1', data: framed(1, 'ls') });
  await peer.until(() => peer.sent.length > 0);
  expect(peer.messages).toEqual([Buffer.from('\0ls')]);
  expect(peer.sent[0]?.payload).toEqual({
    request_id: 's1',
    stream_id: 's1',
    data: framed(1, 'ls'),
    message_type: 1,
  });
});

test('a piece that cannot be read ends its WebSocket', async () => {
  await using peer = await peerOf('');
  peer.say('proxy_request', 'r1', { path: '/', is_websocket: true, ...APP });
  await peer.until(() => peer.sent.length === 1);
  peer.say('ws_data', 'r1', { stream_id: 'r1', data: 'no base64' });
  await until('the application is left', () => peer.closes.length > 0);
  expect([peer.sent.at(-1)?.type, peer.closes]).toEqual(['proxy_websocket_close', [1003]]);
});

test('a peer of ours that names a channel protocol gets its channels untouched', async () => {
  await using peer = await peerOf('v5.channel.k8s.io', true);
  const start = {
    stream_id: 's1',
    path: '/api/v1/namespaces/a/pods/b/exec',
    protocol: 'v5.channel.k8s.io',
  };
  peer.say('proxy_websocket_start', 's1', { ...start, headers: HEADERS });
  await until('it is open', () => {
    peer.say('ws_data', 's1', { stream_id: 's1', data: framed(2, '\x02error') });
    return peer.sent.length > 0;
  });
  expect(peer.sent[0]?.payload['data']).toBe(framed(2, '\x02error'));
});
