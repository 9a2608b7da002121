/** The last heartbeat of a machine that leaves for good, and that no other stop sends one. */
import { expect, test } from 'bun:test';
import { startFakeController } from './fake-controller.ts';
import { heldPlane } from './held-plane.ts';
import { startSession } from './session/stand.ts';

test.each([
  ['without a data plane', undefined],
  ['with one', heldPlane().dataPlane],
])('over the WebSocket, %s, it comes before the close', async (_, dataPlane) => {
  await using server = startFakeController();
  const stand = startSession({
    url: server.url,
    leaving: () => true,
    ...(dataPlane === undefined ? {} : { dataPlane }),
  });
  const peer = await server.peer(0);
  expect((await peer.next('heartbeat')).payload).toMatchObject({ status: 'healthy' });
  await stand[Symbol.asyncDispose]();
  const { payload } = await peer.next('heartbeat');
  expect([payload['status'], payload['tunnel_status']]).toEqual(['disconnected', 'disconnected']);
  await stand.until('it is closed', () => peer.closeCode === 1001);
});

test('an ordinary stop closes the WebSocket without it', async () => {
  await using server = startFakeController();
  const stand = startSession({ url: server.url });
  const peer = await server.peer(0);
  await peer.next('heartbeat');
  await stand[Symbol.asyncDispose]();
  await stand.until('it is closed', () => peer.closeCode === 1001);
  const heartbeats = peer.received.filter(({ type }) => type === 'heartbeat');
  expect(heartbeats.map(({ payload }) => payload['status'])).toEqual(['healthy']);
});

/** A control plane over REST. @param last answers the heartbeat that says goodbye */
function restController(last: () => Response | Promise<Response>) {
  const said: string[] = [];
  const server = startFakeController({
    http: async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname.endsWith('/heartbeat')) {
        const { status } = (await request.json()) as { status: string };
        said.push(status);
        return status === 'disconnected' ? last() : new Response(null, { status: 204 });
      }
      return pathname.endsWith('/commands')
        ? Response.json({ commands: [] })
        : new Response(null, { status: 204 });
    },
  });
  return { server, said };
}

test.each([
  ['a machine that leaves says so over REST', true, ['connected', 'disconnected']],
  ['an ordinary stop over REST says nothing', false, ['connected']],
])('%s', async (_, isLeaving, expected) => {
  const { server, said } = restController(() => new Response(null, { status: 204 }));
  await using _server = server;
  const stand = startSession({ url: server.url, transport: 'rest', leaving: () => isLeaving });
  await stand.until('the first heartbeat', () => said.length === 1);
  await stand[Symbol.asyncDispose]();
  expect(said).toEqual(expected);
});

test.each([
  ['refuses', () => new Response('busy', { status: 503 })],
  ['does not answer', () => new Promise<Response>(() => undefined)],
])('a control plane that %s it holds nobody up', async (_, last) => {
  const { server, said } = restController(last);
  await using _server = server;
  const leaving = () => true;
  const stand = startSession({ url: server.url, transport: 'rest', speed: 4, leaving });
  await stand.until('the first heartbeat', () => said.length === 1);
  const at = stand.clock.monotonic();
  await stand[Symbol.asyncDispose]();
  expect(stand.clock.monotonic() - at).toBeLessThan(6_000);
  expect(said).toEqual(['connected', 'disconnected']);
});

test('another way to the control plane is no goodbye', async () => {
  const { server, said } = restController(() => new Response(null, { status: 204 }));
  await using _server = server;
  const access = new Set<() => void>();
  const stand = startSession({ url: server.url, transport: 'rest', access });
  await stand.until('the first heartbeat', () => said.length === 1);
  for (const changed of access) {
    changed();
  }
  await stand.until('it goes on', () => said.length === 2);
  await stand[Symbol.asyncDispose]();
  expect(said).toEqual(['connected', 'connected']);
});
