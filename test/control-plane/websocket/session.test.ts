/** The WebSocket session against servers that are right, wrong, forgetful, or silent. */
import { describe, expect, test } from 'bun:test';
import type { RememberedSession } from '../../../src/control-plane/session/ports.ts';
import type { Clock } from '../../../src/core/ports.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import {
  HeartbeatPayload,
  MESSAGE_LIMIT_BYTES,
  RegisterPayload,
} from '../../../src/protocol/session/messages.ts';
import { answerRegister, SUCCESS, startFakeController } from '../fake-controller.ts';
import { startRelay } from '../freezing-relay.ts';
import { heldPlane } from '../held-plane.ts';
import { AGENT_ID, startSession, TOKEN } from '../session/stand.ts';

const isConnected = (stand: ReturnType<typeof startSession>) => () =>
  stand.state.snapshot().phase === 'connected';

describe('registration', () => {
  test('it registers with what the existing control plane expects, and heartbeats', async () => {
    await using server = startFakeController();
    await using stand = startSession({ url: `${server.url}/api/?tenant=7` });
    const peer = await server.peer(0);
    const register = await peer.next('register');
    expect({ path: peer.path, query: peer.query, authorization: peer.authorization }).toEqual({
      path: '/api/v1/clusters/agent/ws',
      query: '?tenant=7',
      authorization: `Bearer ${TOKEN}`,
    });
    expect(RegisterPayload.safeParse(register.payload).error?.issues).toBeUndefined();
    expect(register.request_id).toMatch(new RegExp(`^req_\\d+_${AGENT_ID}$`));
    const heartbeat = await peer.next('heartbeat');
    expect(HeartbeatPayload.parse(heartbeat.payload)).toMatchObject({
      cluster_id: 'cluster-1',
      agent_id: AGENT_ID,
      metadata: { k8s_nodes: 1, k8s_pods: 9, cpu_usage: '12%', memory_usage: '50%' },
    });
    expect(heartbeat.request_id).toBeUndefined();
    await stand.until('it is connected', isConnected(stand));
    expect(stand.state.snapshot()).toMatchObject({ transport: 'websocket', transportReason: null });
  });

  test('what is in progress is waited for', async () => {
    await using server = startFakeController({
      message: (peer, message) => {
        if (message.type === 'register') {
          peer.say('register_in_progress', {});
          peer.say('register_success', SUCCESS, message.request_id);
        }
      },
    });
    await using stand = startSession({ url: server.url, transport: 'websocket' });
    await stand.until('it is connected', isConnected(stand));
    expect(server.peers).toHaveLength(1);
  });

  test('an error ends the wait at once, with its text, and it tries again', async () => {
    let refusals = 0;
    await using server = startFakeController({
      message: (peer, message) => {
        if (message.type === 'register' && refusals < 1) {
          refusals += 1;
          peer.say('error', { error: 'license expired' }, message.request_id);
          return;
        }
        answerRegister()(peer, message);
      },
    });
    await using stand = startSession({ url: server.url, transport: 'websocket' });
    await stand.until('it is connected', isConnected(stand));
    expect(stand.log.entries.map(({ fields }) => fields['error'])).toContain(
      'The control plane refuses to register this agent: license expired',
    );
  });

  test('a success without cluster_id, or of another request, is none', async () => {
    let tries = 0;
    await using server = startFakeController({
      message: (peer, message) => {
        if (message.type === 'register') {
          tries += 1;
          peer.say('register_success', { cluster_id: 'foreign' }, 'req_other');
          peer.say('register_success', tries === 1 ? {} : SUCCESS, message.request_id);
        }
      },
    });
    await using stand = startSession({ url: server.url, transport: 'websocket' });
    await stand.until('it is connected', isConnected(stand));
    expect([tries, stand.remembered()?.clusterId]).toEqual([2, 'cluster-1']);
  });

  test('the service token is random, counts from the success, and ends the one before', async () => {
    await using server = startFakeController();
    await using stand = startSession({ url: server.url });
    const first = await (await server.peer(0)).next('register');
    await stand.until('it is connected', isConnected(stand));
    const before = String(first.payload['k8s_service_token']);
    expect([stand.tokens.accepts(before), stand.tokens.accepts('guessed')]).toEqual([true, false]);
    expect(JSON.stringify(stand.remembered())).not.toContain(before);
    server.peers[0]?.terminate();
    const second = await (await server.peer(1)).next('register');
    const after = String(second.payload['k8s_service_token']);
    await stand.until('the new one counts', () => stand.tokens.accepts(after));
    expect(stand.tokens.accepts(before)).toBe(false);
    expect(second.payload).toMatchObject({
      cluster_id: 'cluster-1',
      metadata: { registration_mode: 'resume' },
    });
  });
});

describe('dead ends of the existing agent', () => {
  test('the first dial fails: it comes up when the server does', async () => {
    const port = freePort();
    await using stand = startSession({ url: `http://127.0.0.1:${port}` });
    await stand.until('it says so', () => stand.state.snapshot().phase === 'unreachable');
    expect(stand.state.snapshot().nextTry).not.toBeNull();
    await using _server = startFakeController({ port });
    await stand.until('it is connected', isConnected(stand));
  });

  test('401, and back: a new token is taken up', async () => {
    let token = 'revoked';
    await using server = startFakeController({
      http: (request) =>
        request.headers.get('authorization') === `Bearer ${TOKEN}`
          ? undefined
          : new Response('', { status: 401 }),
    });
    await using stand = startSession({ url: server.url, speed: 50, token: () => token });
    await stand.until('it is refused', () => stand.state.snapshot().phase === 'refused');
    token = TOKEN;
    await stand.until('it is connected', isConnected(stand));
    expect(stand.state.snapshot()).toMatchObject({ phase: 'connected', transport: 'websocket' });
  });

  test.each(['agent not registered', 'Cluster Not Found'])(
    '"%s" at the controller: it registers again on the same connection',
    async (error) => {
      await using server = startFakeController();
      await using stand = startSession({ url: server.url });
      const peer = await server.peer(0);
      await peer.next('register');
      await stand.until('it is connected', isConnected(stand));
      peer.say('error', { error });
      await peer.next('register');
      await stand.until('it is connected again', isConnected(stand));
      expect(server.peers).toHaveLength(1);
    },
  );

  test('"not registered" at the controller: requests under way live on', async () => {
    const plane = heldPlane();
    const registers: string[] = [];
    await using server = startFakeController({
      message: (peer, message) => {
        if (message.type === 'register') {
          registers.push(String(message.request_id));
        }
        if (registers.length < 2) {
          answerRegister()(peer, message);
        }
      },
    });
    await using stand = startSession({ url: server.url, dataPlane: plane.dataPlane });
    const peer = await server.peer(0);
    await peer.next('heartbeat');
    peer.say('proxy_request', {}, 'r-1');
    await stand.until('it is under way', () => plane.count() === 1);
    peer.say('error', { error: 'agent not registered' });
    await stand.until('it registers again', () => registers.length === 2);
    plane.answer(plane.links[0]);
    expect((await peer.next('proxy_response')).request_id).toBe('r-1');
    peer.say('proxy_request', {}, 'r-2');
    await stand.until('messages come through meanwhile', () => plane.count() === 1);
    peer.say('register_success', SUCCESS, registers[1]);
    peer.say('proxy_request', {}, 'r-3');
    await stand.until('and afterwards', () => plane.count() === 2);
    expect(plane.events).toEqual(['controller attached']);
    peer.terminate();
    await stand.until('they end with it', () => plane.events.includes('controller closed'));
    expect(plane.events).toEqual(['controller attached', 'controller closed']);
  });

  test('"not registered" at the controller: as another cluster nothing lives on', async () => {
    const plane = heldPlane();
    let registered = 0;
    await using server = startFakeController({
      message: (peer, message) => {
        registered += message.type === 'register' ? 1 : 0;
        answerRegister({ cluster_id: `cluster-${registered}` })(peer, message);
      },
    });
    await using stand = startSession({ url: server.url, dataPlane: plane.dataPlane });
    const peer = await server.peer(0);
    await peer.next('heartbeat');
    peer.say('error', { error: 'agent not registered' });
    await stand.until('it begins anew', () => plane.links.length === 2);
    expect([plane.events, plane.links.map(({ clusterId }) => clusterId)]).toEqual([
      ['controller attached', 'controller closed', 'controller attached'],
      ['cluster-1', 'cluster-2'],
    ]);
  });

  test('"not registered", and the connection breaks before it is again', async () => {
    const plane = heldPlane();
    await using server = startFakeController({
      message: (peer, message) => {
        if (message.type === 'register' && peer.received.length > 1) {
          peer.terminate();
        } else {
          answerRegister()(peer, message);
        }
      },
    });
    await using stand = startSession({ url: server.url, dataPlane: plane.dataPlane });
    const peer = await server.peer(0);
    await peer.next('heartbeat');
    peer.say('error', { error: 'agent not registered' });
    await stand.until('it is connected anew', () => plane.links.length === 2);
    expect(plane.events).toEqual([
      ...['controller attached', 'controller closed', 'controller attached'],
    ]);
  });

  test('"not registered" at the gateway: it goes back to the controller', async () => {
    const server = withGateway();
    await using _server = server;
    await using stand = startSession({ url: server.url });
    const gateway = await server.peer(1);
    await gateway.next('heartbeat');
    gateway.say('error', { error: 'cluster not registered' });
    const controller = await server.peer(2);
    expect(controller.path).toBe('/api/v1/clusters/agent/ws');
    expect((await controller.next('register')).payload).toMatchObject({ cluster_id: 'cluster-1' });
    await (await server.peer(3)).next('heartbeat');
    await stand.until('it is connected', isConnected(stand));
  });

  test('a connection that is replaced is closed, and does not disturb the new one', async () => {
    await using server = startFakeController();
    await using stand = startSession({ url: server.url });
    (await server.peer(0)).terminate();
    const second = await server.peer(1);
    await second.next('heartbeat');
    await stand.until('it is connected', isConnected(stand));
    expect([server.peers.length, second.closeCode]).toEqual([2, undefined]);
  });

  test('a silent peer is given up within 15 s, and a new connection is made', async () => {
    await using server = startFakeController();
    await using relay = startRelay(server.port);
    await using stand = startSession({ url: relay.url, speed: 20 });
    await stand.until('it is connected', isConnected(stand));
    const at = stand.clock.monotonic();
    relay.freeze();
    await stand.until('it has noticed', () => stand.state.snapshot().phase !== 'connected');
    // One second of the test's own polling is 20 s here.
    expect(stand.clock.monotonic() - at).toBeLessThan(15_000 + 20_000);
    expect(stand.state.snapshot().lastError?.message).toContain('silent for 14 s');
    relay.thaw();
    await stand.until('it is connected again', isConnected(stand));
  });
});

describe('gateway', () => {
  test('it leaves the controller with 1000 and dials the gateway without a second register', async () => {
    const server = withGateway();
    await using _server = server;
    await using stand = startSession({ url: server.url });
    const gateway = await server.peer(1);
    await gateway.next('heartbeat');
    const query = new URLSearchParams(gateway.query);
    expect({ path: gateway.path, query: Object.fromEntries(query) }).toEqual({
      path: '/ws',
      query: {
        cluster_uuid: 'uuid-1',
        supports_streaming: 'true',
        supports_binary: 'true',
        supports_websocket: 'true',
        supports_yamux: 'true',
        supports_response_streaming: 'true',
        agent_version: '1.2.3',
      },
    });
    await stand.until('the controller is left', () => server.peers[0]?.closeCode === 1000);
    expect(gateway.received.map(({ type }) => type)).not.toContain('register');
    expect(stand.state.snapshot().transport).toBe('gateway');
  });

  test('after a lost connection it comes back to the gateway directly', async () => {
    const server = withGateway();
    await using _server = server;
    await using _stand = startSession({ url: server.url });
    (await server.peer(1)).terminate();
    const again = await server.peer(2);
    expect(again.path).toBe('/ws');
    await again.next('heartbeat');
  });

  test('a gateway that refuses is left alone: the controller serves', async () => {
    const server = withGateway((path) => path === '/ws');
    await using _server = server;
    await using stand = startSession({ url: server.url });
    await (await server.peer(1)).next('heartbeat');
    await stand.until('it is connected', isConnected(stand));
    expect(stand.state.snapshot().transport).toBe('websocket');
    expect(server.peers.map(({ path }) => path)).toEqual([
      '/api/v1/clusters/agent/ws',
      '/api/v1/clusters/agent/ws',
    ]);
  });

  test('at each start the controller is asked, and not the gateway of before', async () => {
    const server = withGateway();
    await using _server = server;
    const first = startSession({ url: server.url });
    await (await server.peer(1)).next('heartbeat');
    await first.until('it is connected', isConnected(first));
    const remembered = first.remembered();
    await first[Symbol.asyncDispose]();
    // As an older version may have kept one.
    const kept = { ...remembered, gatewayUrl: `${server.url}/stolen` } as RememberedSession;
    await using _again = startSession({ url: server.url, remembered: kept });
    await (await server.peer(3)).next('heartbeat');
    expect(server.peers.map(({ path }) => path)).toEqual([
      ...['/api/v1/clusters/agent/ws', '/ws', '/api/v1/clusters/agent/ws', '/ws'],
    ]);
  });

  test('every 12 h the controller is asked again, while the gateway serves until the next one is live', async () => {
    let named = '/ws';
    const plane = heldPlane();
    const server: ReturnType<typeof startFakeController> = startFakeController({
      message: (peer, message) =>
        answerRegister({ gateway_ws_url: `${server.url}${named}` })(peer, message),
    });
    await using _server = server;
    const slept: number[] = [];
    // 12 h are a moment here, once.
    const clock: Clock = {
      ...systemClock,
      sleep: (ms, signal) => {
        const isLong = ms > 11 * 3_600_000;
        slept.push(...(isLong ? [ms] : []));
        return systemClock.sleep(isLong && slept.length === 1 ? 300 : ms, signal);
      },
    };
    await using stand = startSession({ url: server.url, clock, dataPlane: plane.dataPlane });
    const stolen = await server.peer(1);
    await stolen.next('heartbeat');
    named = '/moved';
    const controller = await server.peer(2);
    const moved = await server.peer(3);
    await moved.next('heartbeat');
    await stand.until('the first gateway is left', () => stolen.closeCode === 1000);
    expect([controller.path, moved.path]).toEqual(['/api/v1/clusters/agent/ws', '/moved']);
    expect(plane.events.filter((event) => event.startsWith('gateway'))).toEqual([
      ...['gateway attached', 'gateway attached', 'gateway goes away', 'gateway closed'],
    ]);
    expect(stand.state.snapshot()).toMatchObject({ phase: 'connected', transport: 'gateway' });
    expect(slept.map((ms) => Math.round(ms / 3_600_000))).toEqual([12, 12]);
  });

  test('a gateway goes on while the controller is away when it should be asked', async () => {
    let isAway = false;
    const server: ReturnType<typeof startFakeController> = startFakeController({
      http: (request) => {
        const isController = new URL(request.url).pathname !== '/ws';
        asked += isAway && isController ? 1 : 0;
        return isAway && isController ? new Response('', { status: 503 }) : undefined;
      },
      message: (peer, message) => answerRegister({ gateway_ws_url: server.url })(peer, message),
    });
    let asked = 0;
    await using _server = server;
    const clock: Clock = {
      ...systemClock,
      sleep: (ms, signal) => systemClock.sleep(ms >= 60_000 ? 100 : ms, signal),
    };
    const start = startSession({ url: server.url, clock });
    await using stand = start;
    const gateway = await server.peer(1);
    isAway = true;
    await gateway.next('heartbeat');
    await stand.until('the controller was asked in vain', () => asked >= 2);
    expect([gateway.closeCode, stand.state.snapshot().transport]).toEqual([undefined, 'gateway']);
  });

  test('a gateway that root has not pinned is not dialled', async () => {
    const server = withGateway();
    await using _server = server;
    await using stand = startSession({ url: server.url, gatewayHosts: ['*.gw.example'] });
    await (await server.peer(1)).next('heartbeat');
    expect(server.peers.map(({ path }) => path)).not.toContain('/ws');
    await stand.until('it is connected', isConnected(stand));
    expect(stand.state.snapshot().transport).toBe('websocket');
  });

  test('a gateway in clear text on another host is refused', async () => {
    await using server = startFakeController({
      message: answerRegister({ gateway_ws_url: 'ws://198.51.100.7/ws' }),
    });
    await using stand = startSession({ url: server.url });
    await (await server.peer(1)).next('heartbeat');
    expect(stand.log.entries.map(({ fields }) => fields['error'])).toContain(
      'The control plane names a gateway that is refused',
    );
  });
});

describe('messages', () => {
  test('a JSON ping is answered with its request_id', async () => {
    await using server = startFakeController();
    await using _stand = startSession({ url: server.url });
    const peer = await server.peer(0);
    await peer.next('heartbeat');
    peer.say('ping', null, 'ping-7');
    expect((await peer.next('pong')).request_id).toBe('ping-7');
  });

  test('JSON in a binary message is understood', async () => {
    await using server = startFakeController();
    await using _stand = startSession({ url: server.url });
    const peer = await server.peer(0);
    await peer.next('heartbeat');
    peer.raw(new TextEncoder().encode('{"type":"ping","request_id":"b"}'));
    expect((await peer.next('pong')).request_id).toBe('b');
  });

  test('an unknown type is answered once, whatever it is called', async () => {
    await using server = startFakeController();
    await using _stand = startSession({ url: server.url });
    const peer = await server.peer(0);
    await peer.next('heartbeat');
    for (const type of ['teleport', 'teleport', '__proto__', 'constructor']) {
      peer.say(type, {}, 'r-1');
    }
    peer.say('ping', {});
    await peer.next('pong');
    const answers = peer.received.filter(({ type }) => type === 'protocol_fallback');
    expect(answers.map(({ payload }) => payload['unknown_type'])).toEqual([
      'teleport',
      '__proto__',
      'constructor',
    ]);
  });

  test('a flood of nonsense neither ends the session nor fills the log', async () => {
    await using server = startFakeController();
    await using stand = startSession({ url: server.url });
    const peer = await server.peer(0);
    await peer.next('heartbeat');
    for (let count = 0; count < 300; count += 1) {
      peer.raw('{"type":');
      peer.raw('[]');
      peer.raw(JSON.stringify({ type: 'command', payload: 'x' }));
      peer.raw(JSON.stringify({ type: `unknown-${count}` }));
      peer.raw(Uint8Array.of(1, 2, 3, count % 256));
      peer.say('error', { error: 'oops' });
    }
    peer.say('ping', {}, 'last');
    expect((await peer.next('pong')).request_id).toBe('last');
    expect(stand.log.entries.length).toBeLessThan(80);
    expect(server.peers).toHaveLength(1);
  });

  test.each([
    ['nested too deep', `${'['.repeat(60_000)}${']'.repeat(60_000)}`],
    ['of too many parts', `[${'{},'.repeat(1_000_000)}0]`],
  ])('a command %s is refused unread: it would hold everything up', async (_what, value) => {
    await using server = startFakeController();
    await using stand = startSession({ url: server.url });
    const peer = await server.peer(0);
    await peer.next('heartbeat');
    peer.raw(`{"type":"command","payload":{"id":"c-1","type":"deploy","payload":{"x":${value}}}}`);
    peer.say('ping', {}, 'after');
    expect((await peer.next('pong')).request_id).toBe('after');
    expect([server.peers.length, stand.accepted]).toEqual([1, []]);
    expect(stand.log.entries.map(({ message }) => message)).toContain(
      'the control plane sent a message that cannot be read',
    );
  });

  test('a message over the limit closes the connection with 1009, and the next one serves', async () => {
    await using server = startFakeController();
    await using _stand = startSession({ url: server.url });
    const peer = await server.peer(0);
    await peer.next('heartbeat');
    peer.raw(`{"type":"ping","payload":{"x":"${'x'.repeat(MESSAGE_LIMIT_BYTES)}"}}`);
    await (await server.peer(1)).next('heartbeat');
    expect(peer.closeCode).toBe(1009);
  });

  test('the pace of the server is obeyed within bounds', async () => {
    const beats: number[] = [];
    await using server = startFakeController({
      message: (peer, message) => {
        if (message.type === 'heartbeat') {
          beats.push(performance.now());
        }
        answerRegister({ pace: { heartbeat_seconds: 0.000_1 } })(peer, message);
      },
    });
    await using stand = startSession({ url: server.url });
    await stand.until('there are three heartbeats', () => beats.length === 3);
    const [first = 0, , third = 0] = beats;
    // Jitter takes at most a fifth of the shortest interval, which is a second.
    expect(third - first).toBeGreaterThan(2 * 700);
  });

  test('heartbeats that stay unanswered after some were answered end the connection', async () => {
    let answered = 0;
    await using server = startFakeController({
      message: (peer, message) => {
        if (message.type !== 'heartbeat' || answered < 2 || server.peers.length > 1) {
          answered += message.type === 'heartbeat' ? 1 : 0;
          answerRegister()(peer, message);
        }
      },
    });
    await using stand = startSession({ url: server.url, speed: 10, heartbeatIntervalMs: 2_000 });
    await server.peer(1);
    expect(stand.log.entries.map(({ fields }) => fields['error'])).toContain(
      'The control plane left 3 heartbeats unanswered',
    );
  });
});

/** A controller that sends its agents to a gateway on the same port. */
function withGateway(refuses: (path: string) => boolean = () => false) {
  const server: ReturnType<typeof startFakeController> = startFakeController({
    http: (request) =>
      refuses(new URL(request.url).pathname) ? new Response('', { status: 404 }) : undefined,
    message: (peer, message) => answerRegister({ gateway_ws_url: server.url })(peer, message),
  });
  return server;
}

function freePort(): number {
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  const { port } = server;
  server.stop(true);
  return port;
}
