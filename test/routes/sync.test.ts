import { expect, test } from 'bun:test';
import { READ_GRANTS } from '../../src/policy/grants.ts';
import { until } from '../support/until.ts';
import { gateway, ingress, PATHS, routeStand, service, tcpRoute } from './stand.ts';

const { ingresses, httpRoutes, services, gateways, tcpRoutes, udpRoutes } = PATHS;

test('the account of the agent may follow everything that routes are made of', () => {
  for (const path of Object.values(PATHS)) {
    const [, , group = ''] = path.startsWith('/apis/') ? path.split('/') : ['', '', ''];
    const resource = path.split('/').at(-1) ?? '';
    const grant = READ_GRANTS.find(
      (each) => each.group === group && each.resources.includes(resource),
    );
    expect([path, grant?.verbs]).toEqual([path, ['get', 'list', 'watch']]);
  }
});

test('a managed Ingress is told of, changed and taken back; another one is not told of', async () => {
  await using stand = await routeStand();
  stand.cluster.put(services, service('web'));
  stand.cluster.put(ingresses, ingress('front', ['Shop.example']));
  stand.cluster.put(ingresses, ingress('other', ['other.example'], 'web', { labels: {} }));
  await stand.knows(['shop.example/ web:80']);
  stand.cluster.put(ingresses, ingress('front', ['shop.example', 'new.example']));
  await stand.knows(['shop.example/ web:80', 'new.example/ web:80']);
  stand.cluster.put(ingresses, ingress('front', ['new.example']));
  await stand.knows(['new.example/ web:80']);
  stand.cluster.put(ingresses, ingress('front', ['new.example'], 'web', { labels: {} }));
  await stand.knows([]);
  expect(stand.controlPlane.store.problems('')).toEqual([]);
});

test('a managed HTTPRoute is told of, and taken back', async () => {
  await using stand = await routeStand();
  const backendRefs = [{ name: 'web', port: 80 }];
  const metadata = { name: 'front', namespace: 'shop', labels: { 'pipeops.io/managed': 'true' } };
  const spec = { hostnames: ['shop.example'], rules: [{ backendRefs }] };
  stand.cluster.put(services, service('web'));
  stand.cluster.put(httpRoutes, { metadata, spec });
  await stand.knows(['shop.example/ web:80']);
  stand.cluster.put(httpRoutes, { metadata: { ...metadata, labels: {} }, spec });
  await stand.knows([]);
  expect(stand.controlPlane.store.problems('')).toEqual([]);
});

test('what changes is told alone: the new host is registered, the old one unregistered', async () => {
  await using stand = await routeStand();
  stand.cluster.put(services, service('web'));
  stand.cluster.put(ingresses, ingress('front', ['a.example', 'b.example']));
  await stand.knows(['a.example/ web:80', 'b.example/ web:80']);
  stand.calls.length = 0;
  stand.cluster.put(ingresses, ingress('front', ['b.example', 'c.example']));
  await stand.knows(['b.example/ web:80', 'c.example/ web:80']);
  const changes = stand.calls.filter((call) => /gateway.routes.(un)?register/.test(call));
  expect(changes.map((call) => call.replace(/,"cluster_uuid".*/, '}'))).toEqual([
    'POST gateway/routes/unregister {"hostname":"a.example"}',
    expect.stringContaining('POST gateway/routes/register {"hostname":"c.example"'),
  ]);
});

test('a host that another Ingress serves too stays when one of them goes', async () => {
  await using stand = await routeStand();
  stand.cluster.put(services, service('web'));
  stand.cluster.put(services, service('next'));
  stand.cluster.put(ingresses, ingress('one', ['shop.example']));
  stand.cluster.put(ingresses, ingress('two', ['shop.example'], 'next'));
  await stand.knows(['shop.example/ web:80']);
  stand.cluster.remove(ingresses, 'shop/one');
  await stand.knows(['shop.example/ next:80']);
  expect(stand.calls.join('\n')).not.toContain('unregister');
});

test('what went while nobody was looking is taken back by the next session, the last one too', async () => {
  await using stand = await routeStand();
  stand.cluster.put(services, service('web'));
  stand.cluster.put(ingresses, ingress('front', ['shop.example']));
  await stand.knows(['shop.example/ web:80']);
  const restarting = stand.restart();
  stand.cluster.remove(ingresses, 'shop/front');
  await restarting;
  await stand.knows([]);
  expect(stand.controlPlane.store.problems('')).toEqual([]);
});

test('a route comes and goes with the Service behind it', async () => {
  await using stand = await routeStand();
  stand.cluster.put(ingresses, ingress('front', ['shop.example']));
  await stand.knows([]);
  stand.cluster.put(services, service('web'));
  await stand.knows(['shop.example/ web:80']);
  const web = { namespace: 'shop', name: 'web', port: 80 };
  expect(stand.routes().application('shop.example', '/cart')).toEqual(web);
  expect(stand.routes().isRouted({ ...web, protocol: 'TCP' })).toBe(true);
  expect(stand.routes().isRouted({ ...web, protocol: 'UDP' })).toBe(false);
  stand.cluster.remove(services, 'shop/web');
  await stand.knows([]);
  expect(stand.routes().isRouted({ ...web, protocol: 'TCP' })).toBe(false);
});

test('the listeners of managed Gateways are tunnels, and are taken back', async () => {
  await using stand = await routeStand();
  stand.cluster.put(gateways, gateway('edge', [5432, 6379]));
  stand.cluster.put(tcpRoutes, tcpRoute('data', 'edge', 'postgres'));
  const [postgres, redis] = ['tcp-UUID-shop.edge-5432', 'tcp-UUID-shop.edge-6379'];
  await stand.knowsTunnels([`${postgres} postgres`, `${redis} postgres`]);
  const behind = { namespace: 'shop', name: 'postgres', port: 80, protocol: 'TCP' } as const;
  expect(stand.routes().isRouted(behind)).toBe(true);
  stand.cluster.put(gateways, gateway('edge', [5432]));
  await stand.knowsTunnels([`${postgres} postgres`]);
  expect(stand.calls).toContain(`DELETE clusters/agent/UUID/tunnels/${redis} `);
  stand.cluster.put(tcpRoutes, tcpRoute('data', 'edge', 'mysql'));
  await stand.knowsTunnels([`${postgres} mysql`]);
  stand.cluster.remove(tcpRoutes, 'shop/data');
  await stand.knowsTunnels([]);
  expect(stand.controlPlane.store.problems('')).toEqual([]);
});

test('a cluster without the Gateway API has no tunnels until it comes, and none after it went', async () => {
  await using stand = await routeStand();
  let isThere = false;
  const absent = (url: URL) =>
    !isThere && url.pathname.startsWith('/apis/gateway.networking.k8s.io/')
      ? Response.json({ kind: 'Status', code: 404, reason: 'NotFound' }, { status: 404 })
      : undefined;
  stand.cluster.intercept = absent;
  stand.cluster.put(gateways, gateway('edge', [5432]));
  stand.cluster.put(tcpRoutes, tcpRoute('data', 'edge', 'postgres'));
  stand.cluster.put(services, service('web'));
  stand.cluster.put(ingresses, ingress('front', ['shop.example']));
  await stand.knows(['shop.example/ web:80']);
  await stand.restart();
  await stand.knowsTunnels([]);
  isThere = true;
  await stand.knowsTunnels(['tcp-UUID-shop.edge-5432 postgres']);
  isThere = false;
  stand.cluster.disconnect();
  await stand.knowsTunnels([]);
  expect(stand.cluster.watching(udpRoutes)).toBe(0);
});

test('an API that fails for a while takes nothing back', async () => {
  await using stand = await routeStand();
  stand.cluster.put(gateways, gateway('edge', [5432]));
  stand.cluster.put(tcpRoutes, tcpRoute('data', 'edge', 'postgres'));
  stand.cluster.put(services, service('web'));
  stand.cluster.put(ingresses, ingress('front', ['shop.example']));
  await stand.knowsTunnels(['tcp-UUID-shop.edge-5432 postgres']);
  await stand.knows(['shop.example/ web:80']);
  stand.cluster.intercept = () => new Response('{}', { status: 503 });
  stand.cluster.disconnect();
  const outages = () =>
    stand.log.entries.filter(({ message }) => message.startsWith('cannot follow')).length;
  await until('every kind fails', () => outages() >= Object.keys(PATHS).length);
  stand.calls.length = 0;
  stand.registered();
  await until('both tables were sent', () => stand.calls.length >= 2);
  await stand.knowsTunnels(['tcp-UUID-shop.edge-5432 postgres']);
  await stand.knows(['shop.example/ web:80']);
  expect(stand.calls.filter((call) => !call.includes('sync'))).toEqual([]);
});

test('a control plane without routes is asked once, and hosts lead to their applications', async () => {
  await using stand = await routeStand({ dialect: { routes: false } });
  stand.cluster.put(services, service('web'));
  stand.cluster.put(ingresses, ingress('front', ['shop.example']));
  const given = () =>
    stand.log.entries.filter(({ message }) => message.includes('could not be told')).length;
  const leads = (host: string) => stand.routes().application(host, '/') !== undefined;
  await until('both were refused', () => given() >= 2);
  await until('the host leads there', () => leads('shop.example'));
  stand.cluster.put(ingresses, ingress('front', ['new.example']));
  await until('the new host leads there', () => leads('new.example'));
  expect(stand.calls.map((call) => call.replace(/ \{.*/, ''))).toEqual([
    'POST gateway/routes/sync',
    'POST clusters/agent/UUID/tunnels/sync',
  ]);
});
