import { expect, test } from 'bun:test';
import { kubernetesClient } from '../../src/kubernetes/api/client.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { ALLOWED, type PolicyDecision, refused } from '../../src/policy/decision.ts';
import { type ServicePort, serviceLocator } from '../../src/routes/service-locator.ts';
import { serviceApplications, serviceTargets } from '../../src/tunnel/service-targets.ts';
import { failureOf } from '../support/failure-of.ts';
import { manualClock } from '../support/manual-clock.ts';
import { STANDARD_POLICY } from '../support/standard-policy.ts';

const REACHABLE = { labels: { 'pipeops.io/reachable': 'true' } };
const WEB = {
  metadata: REACHABLE,
  spec: {
    clusterIP: '10.43.0.7',
    selector: { app: 'web' },
    ports: [
      { name: 'http', port: 80, protocol: 'TCP' },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
  },
};
const SLICES = [
  {
    ports: [
      { name: 'http', port: 8080 },
      { name: 'dns', port: 5353 },
    ],
    endpoints: [
      { addresses: ['10.42.0.8'], conditions: { ready: false } },
      { addresses: ['10.42.0.9'], conditions: { ready: true } },
    ],
  },
];
const podAt = (ip: string, phase = 'Running') => ({ status: { phase, podIPs: [{ ip }] } });
/** Those that the Service selects: one is in the network of its node, one has ended. */
const PODS = [
  ...['10.42.0.8', '10.42.0.9', '10.77.1.10'].map((ip) => podAt(ip)),
  podAt('10.42.0.6', 'Succeeded'),
];
const NODES = [
  {
    metadata: { annotations: { 'flannel.alpha.coreos.com/backend-type': 'vxlan' } },
    spec: { podCIDRs: ['10.42.3.0/24', 'fd00:42:3::/64'] },
    status: {
      addresses: ['10.77.1.10', 'fd00:77:1::a'].map((address) => ({ type: 'InternalIP', address })),
    },
  },
];

/** An API server with one Service, which tells one slice a page. */
function cluster(
  service: unknown,
  slices: readonly unknown[] = SLICES,
  decide?: () => PolicyDecision,
  isRouted: (service: ServicePort) => boolean = () => false,
) {
  let asked = 0;
  const api = Bun.serve({
    port: 0,
    fetch: (request) => {
      asked += 1;
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === '/api/v1/nodes') {
        return Response.json({ metadata: {}, items: NODES });
      }
      if (pathname.endsWith('/endpointslices')) {
        expect(searchParams.get('labelSelector')).toBe('kubernetes.io/service-name=web');
        const at = Number(searchParams.get('continue') ?? 0);
        const metadata = at + 1 < slices.length ? { continue: `${at + 1}` } : {};
        return Response.json({ metadata, items: slices.slice(at, at + 1) });
      }
      if (pathname === '/api/v1/namespaces/shop/pods') {
        expect(searchParams.get('labelSelector')).toBe('app=web');
        return Response.json({ metadata: {}, items: PODS });
      }
      return pathname === '/api/v1/namespaces/shop/services/web' && service !== undefined
        ? Response.json(service)
        : Response.json({ kind: 'Status', reason: 'NotFound' }, { status: 404 });
    },
  });
  const credentials = {
    current: async () => ({ server: `http://127.0.0.1:${api.port}`, ca: '', token: 't' }),
    reload: () => undefined,
  };
  const clock = manualClock();
  const locator = serviceLocator({
    clock,
    machine: { addresses: () => ['10.77.1.11', '10.42.4.1', 'fd00:77:1::b'] },
    kubernetes: kubernetesClient({ clock: systemClock, http: fetch, credentials }),
    policy: decide === undefined ? STANDARD_POLICY : { reach: decide, kubernetesApi: decide },
    isRouted,
    apiServer: async () => ({ host: '127.0.0.1', port: 6443 }),
  });
  return { clock, locator, asked: () => asked, [Symbol.asyncDispose]: () => api.stop(true) };
}

const ASKED: ServicePort = { namespace: 'shop', name: 'web', port: 80, protocol: 'TCP' };

test('a Service with an address of its own is reached there', async () => {
  await using shop = cluster(WEB);
  expect(await shop.locator.locate(ASKED)).toEqual({ host: '10.43.0.7', port: 80 });
  const udp = { ...ASKED, port: 53, protocol: 'UDP' } as const;
  expect(await shop.locator.locate(udp)).toEqual({ host: '10.43.0.7', port: 53 });
});

test('a headless Service is reached at a pod that is ready', async () => {
  await using shop = cluster({ ...WEB, spec: { ...WEB.spec, clusterIP: 'None' } });
  expect(await shop.locator.locate(ASKED)).toEqual({ host: '10.42.0.9', port: 8080 });
});

test('what the agent deployed is reachable without a label', async () => {
  const labels = { 'app.kubernetes.io/managed-by': 'pipeops-agent' };
  await using shop = cluster({ ...WEB, metadata: { labels } });
  expect(await shop.locator.locate(ASKED)).toEqual({ host: '10.43.0.7', port: 80 });
});

test('a port that an Ingress or a Gateway leads to is reachable without a label, no other one', async () => {
  const routed = ({ port }: ServicePort) => port === 80;
  await using shop = cluster({ ...WEB, metadata: {} }, SLICES, undefined, routed);
  expect(await shop.locator.locate(ASKED)).toEqual({ host: '10.43.0.7', port: 80 });
  const dns = { ...ASKED, port: 53, protocol: 'UDP' } as const;
  expect((await failureOf(() => shop.locator.locate(dns))).code).toBe('POLICY_DENIED');
  await using external = cluster(
    { metadata: {}, spec: { ...WEB.spec, type: 'ExternalName' } },
    ...([SLICES, undefined, routed] as const),
  );
  expect((await failureOf(() => external.locator.locate(ASKED))).details?.['rule']).toBe(
    'tunnel/pods-only',
  );
});

const API = { namespace: 'default', name: 'kubernetes', port: 443, protocol: 'TCP' } as const;

test('the API server is where the agent itself reaches it, once root has opened it', async () => {
  await using open = cluster(undefined, SLICES, () => ALLOWED);
  expect(await open.locator.locate(API)).toEqual({ host: '127.0.0.1', port: 6443 });
  expect(open.asked()).toBe(0);
  await using closed = cluster(undefined, SLICES, undefined, () => true);
  const { code, details } = await failureOf(() => closed.locator.locate(API));
  expect([code, details?.['rule']]).toEqual(['POLICY_DENIED', 'standard/tunnel.kubernetes_api']);
});

test('a policy that closes closes also what is still known', async () => {
  let decision: PolicyDecision = ALLOWED;
  await using shop = cluster(WEB, SLICES, () => decision);
  await shop.locator.locate(ASKED);
  await shop.locator.locate(API);
  decision = refused('file/invalid', 'The policy file cannot be used');
  const rules = await Promise.all(
    [ASKED, API].map(async (asked) => (await failureOf(() => shop.locator.locate(asked))).details),
  );
  expect(rules).toEqual([{ rule: 'file/invalid' }, { rule: 'file/invalid' }]);
});

const leadingTo = (address: string) => [
  { ports: [{ name: 'http', port: 80 }], endpoints: [{ addresses: [address] }] },
];
const none = [{ ports: [{ name: 'http', port: 80 }], endpoints: [] }];

test.each([
  ['that is not there', undefined, SLICES, 'NOT_FOUND', undefined],
  ['without the label', { ...WEB, metadata: {} }, SLICES, 'POLICY_DENIED', 'tunnel/reachable'],
  [
    'without a selector',
    { ...WEB, spec: { ...WEB.spec, selector: {} } },
    SLICES,
    'POLICY_DENIED',
    'tunnel/pods-only',
  ],
  [
    'of another name',
    { ...WEB, spec: { ...WEB.spec, type: 'ExternalName' } },
    SLICES,
    'POLICY_DENIED',
    'tunnel/pods-only',
  ],
  ...[
    ...['10.77.1.10', 'fd00:77:1::a', 'FD00:77:1:0::a'], // of a node
    ...['10.42.3.0', '10.42.3.1', 'fd00:42:3::1'], // of its side of the pods' network
    ...['10.77.1.11', '10.42.4.1', 'fd00:77:1:0::b'], // of this one
    ...['169.254.169.254', 'fd00:ec2::254', 'FE80::1', 'fd20:ce::254'], // of a cloud's metadata
    ...['::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::', '64:ff9b::7f00:1'], // of the machine itself
  ].map(
    (address) =>
      [
        `that leads to ${address}`,
        WEB,
        leadingTo(address),
        'POLICY_DENIED',
        'tunnel/node-ports',
      ] as const,
  ),
  ...['localhost', '0177.0.0.1', '010.77.1.10', '127.1', ''].map(
    (address) =>
      [
        `that leads to "${address}", which the system reads as it likes`,
        { ...WEB, spec: { ...WEB.spec, clusterIP: 'None' } },
        leadingTo(address),
        'POLICY_DENIED',
        'tunnel/pods-only',
      ] as const,
  ),
  ...['10.42.0.6', '10.42.0.7', '10.43.0.1', '198.51.100.1'].map(
    (address) =>
      [
        `that leads to ${address}, which is no pod of its own,`,
        WEB,
        leadingTo(address),
        'POLICY_DENIED',
        'tunnel/pods-only',
      ] as const,
  ),
  [
    'that leads to a node as well, on a later page,',
    WEB,
    [...SLICES, ...leadingTo('10.77.1.10')],
    'POLICY_DENIED',
    'tunnel/node-ports',
  ],
  [
    'with an address of its own that the system reads in another way',
    { ...WEB, spec: { ...WEB.spec, clusterIP: '010.43.0.7' } },
    SLICES,
    'POLICY_DENIED',
    'tunnel/pods-only',
  ],
  ['without a ready pod', WEB, none, 'NOT_FOUND', undefined],
] as const)('a Service %s is refused', async (_, service, slices, code, rule) => {
  await using shop = cluster(service, slices);
  const error = await failureOf(() => shop.locator.locate(ASKED));
  expect([error.code, error.details?.['rule']]).toEqual([code, rule]);
});

test.each(['10.42.0.6', '10.42.0.7', '10.43.0.1', '198.51.100.1', 'localhost'])(
  'a Service that leads also to %s, which is no pod of its own, is reached at one that is',
  async (address) => {
    await using shop = cluster(WEB, [...leadingTo(address), ...SLICES]);
    expect(await shop.locator.locate(ASKED)).toEqual({ host: '10.42.0.9', port: 8080 });
  },
);

test('a pod that goes between two questions closes nothing', async () => {
  let looks = 0;
  const going = { toJSON: () => (looks++ === 0 ? leadingTo('10.42.0.7') : none)[0] };
  await using shop = cluster(WEB, [...SLICES, going]);
  expect(await shop.locator.locate(ASKED)).toEqual({ host: '10.43.0.7', port: 80 });
  expect(looks).toBe(2);
});

test('a port that the Service does not have, and a namespace of Kubernetes, are refused', async () => {
  await using shop = cluster(WEB);
  expect((await failureOf(() => shop.locator.locate({ ...ASKED, port: 81 }))).code).toBe(
    'NOT_FOUND',
  );
  const system = { ...ASKED, namespace: 'kube-system' };
  const before = shop.asked();
  expect((await failureOf(() => shop.locator.locate(system))).code).toBe('POLICY_DENIED');
  expect(shop.asked()).toBe(before);
});

test('an answer is used again for a while, a failure is not', async () => {
  await using shop = cluster(WEB);
  await shop.locator.locate(ASKED);
  const first = shop.asked();
  await Promise.all([shop.locator.locate(ASKED), shop.locator.locate(ASKED)]);
  expect(shop.asked()).toBe(first);
  shop.clock.advance(10_000);
  await shop.locator.locate(ASKED);
  expect(shop.asked()).toBe(first + 3); // the Service, its endpoints and pods; the nodes are known
  const wrong = { ...ASKED, port: 81 };
  await failureOf(() => shop.locator.locate(wrong));
  const before = shop.asked();
  await failureOf(() => shop.locator.locate(wrong));
  expect(shop.asked()).toBeGreaterThan(before);
});

test('the tunnel is told a reason, an application an address that stays the same', async () => {
  await using shop = cluster(WEB);
  const targets = serviceTargets(shop.locator);
  const header = {
    protocol: 'tcp',
    port: 80,
    service: 'web',
    namespace: 'shop',
    tunnelId: '',
  } as const;
  expect(await targets.resolve(header)).toEqual({ kind: 'target', host: '10.43.0.7', port: 80 });
  expect(await targets.resolve({ ...header, port: 81 })).toEqual({
    kind: 'refused',
    reason: 'Cannot reach Service shop/web, port 81/TCP: it has no such port',
  });
  const apps = serviceApplications(shop.locator, (name) =>
    name === 'shop.example' ? { namespace: 'shop', name: 'web', port: 80 } : undefined,
  );
  const one = await apps.host('Shop.Example:443', '/')?.locate();
  const two = await apps.service({ namespace: 'shop', name: 'web', port: 80, tls: false }).locate();
  expect(one).toEqual({
    address: {
      ...{ hostname: '10.43.0.7', port: 80, trust: 'plain' },
      peer: {
        code: 'APPLICATION_UNREACHABLE',
        name: 'Service shop/web, port 80',
        hint: 'Check that its pods run and listen on the target port of that port: kubectl -n shop describe service web',
        answerHint: 'Check that it speaks HTTP on that port: kubectl -n shop describe service web',
      },
    },
    host: 'web.shop.svc:80',
    token: undefined,
  });
  expect(two.address).toBe(one?.address as never);
  expect(apps.host('other.example', '/')).toBeUndefined();
  const odd = apps.service({ namespace: 'a/b', name: 'web', port: 80, tls: false });
  expect((await failureOf(() => odd.locate())).code).toBe('PROXY_REQUEST_INVALID');
});
