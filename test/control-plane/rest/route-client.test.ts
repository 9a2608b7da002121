import { expect, test } from 'bun:test';
import { routeClient } from '../../../src/control-plane/rest/route-client.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { RegisterRoute, type Tunnel } from '../../../src/protocol/session/routes.ts';
import { failureOf } from '../../support/failure-of.ts';
import { manualClock } from '../../support/manual-clock.ts';

const never = new AbortController().signal;

const ROUTE = RegisterRoute.parse({
  hostname: 'shop.example',
  cluster_uuid: 'c/1',
  namespace: 'shop',
  service_name: 'web',
  service_port: 80,
  ingress_name: 'web',
  path: '/',
  path_type: 'Prefix',
  tls: true,
  routing_mode: 'tunnel',
});
const TUNNEL: Tunnel = {
  cluster_uuid: 'c/1',
  protocol: 'tcp',
  tunnel_id: 'tcp-c/1-shop.db-5432',
  gateway_name: 'db',
  gateway_namespace: 'shop',
  gateway_port: 5432,
  service_name: 'postgres',
  service_namespace: 'shop',
  service_port: 5432,
  routing_mode: 'tunnel',
};

/** A client, and what it asks; every answer is that of `answer`. */
function listening(answer: (request: Request) => Response) {
  const seen: unknown[] = [];
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      const text = await request.text();
      const body = text === '' ? undefined : JSON.parse(text);
      const token = request.headers.get('authorization');
      seen.push([request.method, new URL(request.url).pathname, body, token]);
      return answer(request);
    },
  });
  const client = routeClient(
    { clock: manualClock(), http: systemHttp, token: async () => 'secret' },
    { baseUrl: `http://127.0.0.1:${server.port}`, version: '1.2.3', ca: undefined },
  );
  return { client, seen, [Symbol.asyncDispose]: () => server.stop(true) };
}

test('each call has its method, path, body and the token', async () => {
  await using peer = listening(() => new Response('{"rejected": null}'));
  const sync = { cluster_uuid: 'c/1', ingresses: [] };
  const tunnels = { cluster_uuid: 'c/1', tunnels: [TUNNEL] };
  await peer.client.register(ROUTE, never);
  await peer.client.sync(sync, never);
  await peer.client.unregister('shop.example', never);
  await peer.client.registerTunnel(TUNNEL, never);
  expect(await peer.client.syncTunnels(tunnels, never)).toEqual([]);
  await peer.client.removeTunnel('c/1', TUNNEL.tunnel_id, never);
  const token = 'Bearer secret';
  const ofCluster = '/api/v1/clusters/agent/c%2F1/tunnels';
  expect(peer.seen).toEqual([
    ['POST', '/api/v1/gateway/routes/register', ROUTE, token],
    ['POST', '/api/v1/gateway/routes/sync', sync, token],
    ['POST', '/api/v1/gateway/routes/unregister', { hostname: 'shop.example' }, token],
    ['POST', ofCluster, TUNNEL, token],
    ['POST', `${ofCluster}/sync`, tunnels, token],
    ['DELETE', `${ofCluster}/tcp-c%2F1-shop.db-5432`, undefined, token],
  ]);
});

test('what is to be removed and is not there is no error; anything else is', async () => {
  await using peer = listening(() => new Response('', { status: 404 }));
  await peer.client.unregister('shop.example', never);
  await peer.client.removeTunnel('c', 't', never);
  expect((await failureOf(() => peer.client.register(ROUTE, never))).code).toBe('NOT_FOUND');
});

test('tunnels that are refused are named; an answer that says nothing is taken as it is', async () => {
  let answer = '{"accepted": [], "rejected": [{"tunnel_id": "t", "reason": "full"}]}';
  await using peer = listening(() => new Response(answer));
  const tunnels = { cluster_uuid: 'c', tunnels: [] };
  expect(await peer.client.syncTunnels(tunnels, never)).toEqual([
    { tunnel_id: 't', reason: 'full' },
  ]);
  answer = '<html>';
  expect(await peer.client.syncTunnels(tunnels, never)).toEqual([]);
});
