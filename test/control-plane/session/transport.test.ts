/** Which transport carries the session, and how it gets through proxies. */
import { describe, expect, test } from 'bun:test';
import { REBUILD_AFTER_MS } from '../../../src/control-plane/session.ts';
import { type ProxyKind, startForwardProxy } from '../../support/forward-proxy.ts';
import { scaledClock } from '../../support/scaled-clock.ts';
import { makeCertificates } from '../../support/tls.ts';
import { type Breakage, startBreakingProxy } from '../breaking-proxy.ts';
import { startFakeController } from '../fake-controller.ts';
import { startRelay } from '../freezing-relay.ts';
import { startSession } from './stand.ts';

const SPEED = 15;
const SLOW_SPEED = 4;
const TIMEOUT_MS = 30_000;

/** REST as the seed has it. */
const rest = (request: Request): Response | undefined => {
  const { pathname } = new URL(request.url);
  if (pathname.startsWith('/api/v1/agents/')) {
    return pathname.endsWith('/commands')
      ? Response.json({ commands: [] })
      : new Response(null, { status: 204 });
  }
  return undefined;
};

describe('auto', () => {
  test.each([404, 426, 400, 200])(
    'an upgrade answered %d: REST serves, and the WebSocket takes over when it can be had',
    async (status) => {
      let broken = true;
      await using server = startFakeController({
        http: (request) => rest(request) ?? (broken ? new Response('', { status }) : undefined),
      });
      await using stand = startSession({ url: server.url, speed: 15 });
      await stand.until('REST serves', () => stand.state.snapshot().transport === 'rest');
      expect(stand.state.snapshot()).toMatchObject({
        phase: 'connected',
        transportReason: expect.stringContaining(`answered ${status}`),
      });
      broken = false;
      await stand.until('the WebSocket does', () => {
        return stand.state.snapshot().transport === 'websocket';
      });
      expect(stand.state.snapshot().phase).toBe('connected');
      const changes = stand.log.entries.filter(({ message }) => message.includes('transport'));
      expect(changes.slice(0, 2).map(({ fields }) => fields['transport'])).toEqual([
        'rest',
        'websocket',
      ]);
    },
  );

  test('a WebSocket that opens and breaks at once, again and again: REST serves', async () => {
    await using server = startFakeController({
      http: rest,
      message: (peer) => peer.terminate(),
    });
    await using stand = startSession({ url: server.url });
    await stand.until('REST serves', () => stand.state.snapshot().transport === 'rest');
    expect(server.peers.length).toBeGreaterThan(1);
  });

  test('nobody there is no reason for REST', async () => {
    await using server = startFakeController();
    const { url } = server;
    await server[Symbol.asyncDispose]();
    await using stand = startSession({ url, speed: 10 });
    await stand.until('it has tried often', () => stand.clock.monotonic() > 20_000);
    expect(stand.log.entries.filter(({ fields }) => fields['call'] !== undefined)).toEqual([]);
  });

  test('429 with Retry-After is waited for', async () => {
    let refused = 0;
    await using server = startFakeController({
      http: () => {
        refused += 1;
        return refused === 1
          ? new Response('', { status: 429, headers: { 'retry-after': '20' } })
          : undefined;
      },
    });
    await using stand = startSession({ url: server.url, speed: 20 });
    await stand.until('it is refused', () => stand.state.snapshot().lastError !== null);
    const at = stand.clock.monotonic();
    await server.peer(0);
    expect(stand.clock.monotonic() - at).toBeGreaterThan(15_000);
  });
});

describe('a proxy that breaks WebSockets only', () => {
  test.each<Breakage>(['strip', 'cut', 'short'])(
    '%s: REST serves, and the WebSocket again when it is let through',
    async (breakage) => {
      await using server = startFakeController({ http: rest });
      // A life of 5 s, at the speed of the session's clock.
      const clock = scaledClock(SPEED);
      await using proxy = await startBreakingProxy(server.port, breakage, 5_000, clock);
      await using stand = startSession({ url: proxy.url, clock });
      await stand.until('REST serves', () => stand.state.snapshot().transport === 'rest');
      expect(stand.state.snapshot().transportReason).not.toBeNull();
      proxy.breakage = 'none';
      await stand.until('the WebSocket does', () => {
        return stand.state.snapshot().transport === 'websocket';
      });
    },
    TIMEOUT_MS,
  );

  test('one that ends what is idle for 5 s does not end the session, which pings', async () => {
    await using server = startFakeController({ http: rest });
    const clock = scaledClock(SLOW_SPEED);
    await using proxy = await startBreakingProxy(server.port, 'idle', 5_000, clock);
    await using stand = startSession({ url: proxy.url, clock });
    await stand.until('it is connected', () => stand.state.snapshot().phase === 'connected');
    const since = stand.clock.monotonic();
    await stand.until('a while has passed', () => stand.clock.monotonic() - since > 12_000);
    expect([server.peers.length, stand.state.snapshot().phase]).toEqual([1, 'connected']);
  });
});

test(
  'a network that falls silent, again and again, is no proxy that breaks WebSockets',
  async () => {
    await using server = startFakeController({ http: rest });
    await using relay = startRelay(server.port);
    await using stand = startSession({ url: relay.url, speed: SPEED });
    for (let silences = 1; silences <= 4; silences += 1) {
      await stand.until('there is a session', () => stand.state.counts().established === silences);
      expect(stand.state.snapshot().transport).toBe('websocket');
      relay.freeze();
      await stand.until('it is given up', () => stand.state.snapshot().phase !== 'connected');
      relay.thaw();
    }
  },
  TIMEOUT_MS,
);

test('rest: no WebSocket is dialled', async () => {
  await using server = startFakeController({ http: rest });
  await using stand = startSession({ url: server.url, transport: 'rest' });
  await stand.until('REST serves', () => stand.state.snapshot().phase === 'connected');
  expect(server.peers).toEqual([]);
});

test('a server that answers and gives no session: after ten minutes all is made anew', async () => {
  await using server = startFakeController({ http: () => new Response('', { status: 503 }) });
  await using stand = startSession({ url: server.url, speed: 1_000, transport: 'websocket' });
  await stand.until('it is made anew', () => stand.networks() >= 2);
  expect(stand.clock.monotonic()).toBeGreaterThan(REBUILD_AFTER_MS);
});

describe('proxies', () => {
  test.each<[ProxyKind, string, string]>([
    ['http', '', 'http'],
    ['http', 'user:p@ss:word', 'http'],
    ['https', 'user:p@ss:word', 'https'],
    ['socks5', '', 'socks5'],
    ['socks5', 'user:p@ss:word', 'socks5'],
  ])('through %s with credentials "%s", TLS inside', async (kind, credentials, scheme) => {
    const certificates = await makeCertificates(['192.0.2.1', '127.0.0.1']);
    await using server = startFakeController({ http: rest, tls: certificates });
    await using proxy = await startForwardProxy(kind, credentials, {
      leadsTo: server.port,
      certificates,
    });
    const proxySettings = {
      ...{ url: `${scheme}://127.0.0.1:${proxy.port}`, credentials, noProxy: '' },
    };
    // A name that only the proxy can resolve; the certificate is for another: not accepted.
    await using wrong = startSession({
      url: 'https://control-plane.invalid',
      proxy: proxySettings,
      ca: certificates.ca,
    });
    await wrong.until('it is refused by TLS', () => wrong.state.snapshot().lastError !== null);
    expect(proxy.targets).toContain('control-plane.invalid:443');
    expect(wrong.state.snapshot().phase).toBe('unreachable');
    for (const transport of ['websocket', 'rest'] as const) {
      await using stand = startSession({
        url: 'https://192.0.2.1',
        proxy: proxySettings,
        ca: certificates.ca,
        transport,
      });
      await stand.until(`${transport} serves`, () => stand.state.snapshot().phase === 'connected');
    }
  });

  test.each<ProxyKind>(['http', 'socks5'])(
    'through %s in clear text, where that is allowed',
    async (kind) => {
      await using server = startFakeController({ http: rest });
      await using proxy = await startForwardProxy(kind, '', { leadsTo: server.port });
      const through = { url: `${kind}://127.0.0.1:${proxy.port}`, credentials: '', noProxy: '' };
      for (const transport of ['websocket', 'rest'] as const) {
        await using stand = startSession({
          url: 'http://192.0.2.1',
          allowInsecure: true,
          proxy: through,
          transport,
        });
        await stand.until(
          `${transport} serves`,
          () => stand.state.snapshot().phase === 'connected',
        );
        expect(stand.state.snapshot().transport).toBe(transport);
      }
    },
  );
});
