import { expect, test } from 'bun:test';
import {
  type Gateway,
  gatewayRow,
  isManagedGateway,
  type L4Route,
  l4RouteRow,
  listenerTunnels,
  TUNNELS_MAX,
} from '../../src/routes/listeners.ts';
import { STANDARD_POLICY } from '../support/standard-policy.ts';

const POSTGRES = { name: 'pg', port: 5432, protocol: 'TCP' };
const DNS = { name: 'dns', port: 53, protocol: 'UDP' };

function gateway(more: Partial<Gateway> = {}, metadata: object = {}): Gateway {
  return {
    metadata: { name: 'edge', namespace: 'shop', ...metadata },
    spec: { listeners: [POSTGRES, DNS, { name: 'web', port: 80, protocol: 'HTTP' }] },
    ...more,
  };
}

type Backend = { name: string; port?: number; namespace?: string; kind?: string };

function route(backend: Backend, parent: object = {}, namespace = 'shop'): L4Route {
  return {
    metadata: { name: 'route', namespace },
    spec: { parentRefs: [{ name: 'edge', ...parent }], rules: [{ backendRefs: [backend] }] },
  };
}

function tunnelsOf(
  gateways: readonly Gateway[],
  tcp: readonly L4Route[],
  udp: readonly L4Route[] = [],
) {
  return listenerTunnels({
    gateways: gateways.map(gatewayRow),
    routes: [
      ...tcp.map((each) => l4RouteRow(each, 'tcp')),
      ...udp.map((each) => l4RouteRow(each, 'udp')),
    ],
    mayRoute: (namespace) => STANDARD_POLICY.reach(namespace).allowed,
  });
}

const DATABASE: Backend = { name: 'postgres', port: 5432 };

test.each([
  [{ 'pipeops.io/managed': 'true' }, true],
  [{ 'pipeops.io/managed': '' }, true],
  [{ 'pipeops.io/managed': 'false' }, false],
  [{}, false],
])('a Gateway with labels %j is managed: %p', (labels, expected) => {
  expect(isManagedGateway({ metadata: { labels } })).toBe(expected);
});

test('TCP and UDP listeners with a route are tunnels to its Service', () => {
  const tunnels = tunnelsOf([gateway()], [route(DATABASE)], [route({ name: 'coredns', port: 53 })]);
  const common = { gateway_name: 'edge', gateway_namespace: 'shop', service_namespace: 'shop' };
  expect([...tunnels]).toEqual([
    [
      'tcp-shop.edge-5432',
      {
        ...common,
        protocol: 'tcp',
        gateway_port: 5432,
        service_name: 'postgres',
        service_port: 5432,
        routing_mode: 'tunnel',
      },
    ],
    [
      'udp-shop.edge-53',
      {
        ...common,
        protocol: 'udp',
        gateway_port: 53,
        service_name: 'coredns',
        service_port: 53,
        routing_mode: 'tunnel',
      },
    ],
  ]);
});

test.each([
  ['another listener', route(DATABASE, { sectionName: 'other' })],
  ['another port', route(DATABASE, { port: 1 })],
  ['another Gateway', route(DATABASE, { name: 'other' })],
  ['a parent of another kind', route(DATABASE, { kind: 'Service', group: '' })],
  ['a Service of another namespace', route({ ...DATABASE, namespace: 'bank' })],
  ['no Service', route({ ...DATABASE, kind: 'Bucket' })],
  ['no port', route({ name: 'postgres' })],
  ['a Gateway from another namespace', route(DATABASE, { namespace: 'shop' }, 'bank')],
])('a route of %s makes no tunnel', (_, other) => {
  expect(tunnelsOf([gateway()], [other]).size).toBe(0);
});

test('a Gateway in a namespace of Kubernetes makes no tunnel', () => {
  const system = gateway({}, { namespace: 'kube-system' });
  expect(tunnelsOf([system], [route(DATABASE, {}, 'kube-system')]).size).toBe(0);
});

test.each([
  ['direct', '192.0.2.1', ['direct', '192.0.2.1:5432']],
  ['dual', '2001:db8::1', ['dual', '[2001:db8::1]:5432']],
  ['direct', undefined, ['tunnel', undefined]],
  ['tunnel', '192.0.2.1', ['tunnel', undefined]],
  ['nonsense', '192.0.2.1', ['tunnel', undefined]],
])('a Gateway that asks for %s and has the address %p', (mode, value, expected) => {
  const status = value === undefined ? {} : { status: { addresses: [{ value }] } };
  const asking = gateway(status, { annotations: { 'pipeops.io/routing-mode': mode } });
  const [tunnel] = tunnelsOf([asking], [route(DATABASE)]).values();
  expect([tunnel?.routing_mode, tunnel?.public_endpoint]).toEqual(expected as never);
});

test('Gateways of one name in two namespaces are two, and so are names with dashes', () => {
  const pairs = [
    ['a-b', 'c'],
    ['a', 'b-c'],
  ] as const;
  const tunnels = tunnelsOf(
    pairs.map(([namespace, name]) => gateway({}, { namespace, name })),
    pairs.map(([namespace, name]) => route(DATABASE, { name }, namespace)),
  );
  expect([...tunnels.keys()]).toEqual(['tcp-a-b.c-5432', 'tcp-a.b-c-5432']);
});

test('there is a limit to tunnels', () => {
  const listeners = Array.from({ length: TUNNELS_MAX + 1 }, (_, at) => ({
    ...{ name: `l${at}`, port: at + 1, protocol: 'TCP' },
  }));
  expect(tunnelsOf([gateway({ spec: { listeners } })], [route(DATABASE)]).size).toBe(TUNNELS_MAX);
});
