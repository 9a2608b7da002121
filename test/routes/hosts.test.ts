import { expect, test } from 'bun:test';
import type { V1Ingress, V1Service } from '@kubernetes/client-node';
import { isManaged } from '../../src/routes/host-row.ts';
import { applicationFor, ROUTES_MAX, type RouteTable, routeTable } from '../../src/routes/hosts.ts';
import { type HttpRoute, httpRouteRow } from '../../src/routes/managed-http.ts';
import { ingressRow } from '../../src/routes/managed-ingress.ts';
import { serviceRow } from '../../src/routes/service-row.ts';
import { manualClock } from '../support/manual-clock.ts';
import { STANDARD_POLICY } from '../support/standard-policy.ts';

type Path = { path?: string; pathType?: string; service?: string; port?: number | string };

function ingress(name: string, hosts: Record<string, readonly Path[]>, more: object = {}) {
  const made = {
    metadata: { name, namespace: 'shop', creationTimestamp: '2026-01-01T00:00:00Z', ...more },
    spec: {
      rules: Object.entries(hosts).map(([host, paths]) => ({
        host,
        http: {
          paths: paths.map(({ path, pathType = 'Prefix', service = 'web', port = 80 }) => ({
            path,
            pathType,
            backend: {
              service: {
                name: service,
                port: { [typeof port === 'string' ? 'name' : 'number']: port },
              },
            },
          })),
        },
      })),
    },
  };
  // As the API sends it: its dates are text.
  return made as unknown as V1Ingress;
}

function service(
  name: string,
  namespace = 'shop',
  more: Partial<V1Service['spec']> = {},
  labels = {},
) {
  const ports = [
    { name: 'http', port: 80 },
    { name: 'metrics', port: 9090 },
  ];
  return serviceRow({
    metadata: { name, namespace, labels },
    spec: { selector: { app: name }, ports, ...more },
  });
}

function tableOf(
  ingresses: readonly V1Ingress[],
  services = [service('web')],
  httpRoutes: readonly HttpRoute[] = [],
): Promise<RouteTable> {
  return routeTable(
    { clock: manualClock() },
    {
      owners: [...ingresses.map(ingressRow), ...httpRoutes.map(httpRouteRow)],
      services: new Map(services.map((row) => [`${row.namespace}/${row.name}`, row])),
      mayRoute: (namespace) => STANDARD_POLICY.reach(namespace).allowed,
    },
  );
}

const told = (table: RouteTable) =>
  [...table.hosts.values()].flatMap(({ paths }) => paths.map(({ route }) => route));

test.each([
  [{ labels: { 'pipeops.io/managed': 'true' } }, true],
  [{ annotations: { 'pipeops.io/managed-by': 'pipeops' } }, true],
  [{ labels: { 'pipeops.io/managed': 'yes' } }, false],
  [{ annotations: { 'pipeops.io/managed-by': 'somebody' } }, false],
  [{}, false],
])('an Ingress with %j is managed: %p', (metadata, expected) => {
  expect(isManaged({ metadata })).toBe(expected);
});

test('a route names host, path, the Service of the application and its own annotations', async () => {
  const annotations = {
    'pipeops.io/environment': 'production',
    'pipeops.io/owner': 'orders',
    'nginx.ingress.kubernetes.io/auth-secret': 'shop/users',
  };
  const made = ingress('front', { 'Shop.Example': [{ port: 'metrics' }] }, { annotations });
  const table = await tableOf([{ ...made, spec: { ...made.spec, tls: [{ hosts: ['x'] }] } }]);
  expect(told(table)).toEqual([
    {
      hostname: 'shop.example',
      namespace: 'shop',
      service_name: 'web',
      service_port: 9090,
      ingress_name: 'front',
      path: '/',
      path_type: 'Prefix',
      tls: true,
      annotations: { 'pipeops.io/environment': 'production', 'pipeops.io/owner': 'orders' },
      routing_mode: 'tunnel',
      deployment_id: 'production:orders',
      deployment_name: 'orders',
    },
  ]);
});

test.each([
  ['to no Service', [{ service: 'gone' }], [service('web')]],
  ['to a port that the Service does not have', [{ port: 81 }], [service('web')]],
  ['to what has no pods', [{}], [service('web', 'shop', { type: 'ExternalName' })]],
  ['to a Service without a selector', [{}], [service('web', 'shop', { selector: {} })]],
  ['with a path beyond all measure', [{ path: `/${'x'.repeat(1_024)}` }], [service('web')]],
] as const)('an Ingress %s is no route', async (_, paths, services) => {
  expect(told(await tableOf([ingress('front', { 'shop.example': paths })], [...services]))).toEqual(
    [],
  );
});

test('an Ingress without a host, or in a namespace of Kubernetes, is no route', async () => {
  const system = ingress('front', { 'a.example': [{}] }, { namespace: 'kube-system' });
  const table = await tableOf(
    [ingress('front', { '': [{}] }), system],
    [service('web'), service('web', 'kube-system')],
  );
  expect(told(table)).toEqual([]);
});

test('of two Ingresses with the same host and path the older one counts, whatever their order', async () => {
  const older = ingress('zeta', { 'shop.example': [{ port: 80 }] });
  const younger = ingress(
    'alpha',
    { 'shop.example': [{ port: 9090 }, { path: '/api', port: 9090 }] },
    { creationTimestamp: '2026-01-01T00:00:01Z' },
  );
  for (const both of [
    [older, younger],
    [younger, older],
  ]) {
    expect(told(await tableOf(both)).map((route) => [route.path, route.ingress_name])).toEqual([
      ['/', 'zeta'],
      ['/api', 'alpha'],
    ]);
  }
});

test.each([
  ['opened to the control plane', { 'pipeops.io/reachable': 'true' }, 'ingress-nginx', true],
  ['not opened', {}, 'ingress-nginx', false],
  ['in a namespace of Kubernetes', { 'pipeops.io/reachable': 'true' }, 'kube-system', false],
] as const)(
  'an ingress controller that is %s is named: %p',
  async (_, labels, namespace, named) => {
    const all = { ...labels, 'app.kubernetes.io/name': 'ingress-nginx' };
    const controller = service('nginx-entry', namespace, {}, all);
    const table = await tableOf(
      [ingress('front', { 'shop.example': [{}] })],
      [service('web'), controller],
    );
    expect(table.controller).toEqual(
      named ? { name: 'nginx-entry', namespace, port: 80, type: 'nginx' } : undefined,
    );
    const [route] = told(table);
    expect([route?.namespace, route?.service_name]).toEqual(
      named ? [namespace, 'nginx-entry'] : ['shop', 'web'],
    );
  },
);

test('a request goes where an ingress controller would send it', async () => {
  const services = ['web', 'api', 'exact', 'any'].map((name) => service(name));
  const table = await tableOf(
    [
      ingress('front', {
        'shop.example': [
          {},
          { path: '/api/', service: 'api' },
          { path: '/api/one', pathType: 'Exact', service: 'exact' },
        ],
        '*.example': [{ service: 'any' }],
        'deep.example': [{ path: '/only', service: 'api' }],
      }),
    ],
    services,
  );
  const to = (host: string, path: string) => applicationFor(table, host, path)?.name;
  expect([
    to('shop.example', '/'),
    to('shop.example', '/apis'),
    to('shop.example', '/api'),
    to('shop.example', '/api/two'),
    to('shop.example', '/api/one'),
    to('other.example', '/x'),
    to('deep.example', '/x'),
    to('a.b.example', '/'),
    to('example', '/'),
  ]).toEqual(['web', 'web', 'api', 'api', 'exact', 'any', undefined, undefined, undefined]);
});

test('there is a limit to routes, and what is left out is counted', async () => {
  const hosts = Array.from({ length: ROUTES_MAX + 2 }, (_, at) => [`h${at}.example`, [{}]]);
  const table = await tableOf([ingress('many', Object.fromEntries(hosts))]);
  expect([told(table).length, table.leftOut]).toEqual([ROUTES_MAX, 2]);
});

type HttpRouteRules = NonNullable<NonNullable<HttpRoute['spec']>['rules']>;

function httpRoute(rules: HttpRouteRules, hostnames = ['Shop.example', '*.shop.example']) {
  const metadata = { name: 'front', namespace: 'shop', labels: { 'pipeops.io/managed': 'true' } };
  return { metadata, spec: { hostnames, rules } };
}

const TO_WEB = [{ name: 'web', port: 80 }];
const ways = (table: RouteTable) =>
  told(table).map((each) => `${each.hostname} ${each.path_type} ${each.path} ${each.service_name}`);

test('an HTTPRoute leads each of its hosts by its paths, as an Ingress would', async () => {
  const route = httpRoute([
    { backendRefs: TO_WEB },
    {
      matches: [
        { path: { type: 'Exact', value: '/cart' } },
        { path: { type: 'PathPrefix', value: '/api' } },
      ],
      backendRefs: [
        { name: 'old', port: 80, weight: 0 },
        { name: 'next', port: 9090 },
      ],
    },
  ]);
  const table = await tableOf([], [service('web'), service('next'), service('old')], [route]);
  expect(ways(table)).toEqual([
    'shop.example Prefix / web',
    'shop.example Exact /cart next',
    'shop.example Prefix /api next',
    '*.shop.example Prefix / web',
    '*.shop.example Exact /cart next',
    '*.shop.example Prefix /api next',
  ]);
  expect(applicationFor(table, 'shop.example', '/api/x')).toEqual({
    namespace: 'shop',
    name: 'next',
    port: 9090,
  });
});

test.each<[string, HttpRouteRules]>([
  ['a header', [{ matches: [{ headers: [{ name: 'x', value: 'y' }] }], backendRefs: TO_WEB }]],
  ['a method', [{ matches: [{ method: 'GET' }], backendRefs: TO_WEB }]],
  ['a query', [{ matches: [{ queryParams: [{}] }], backendRefs: TO_WEB }]],
  [
    'an expression',
    [{ matches: [{ path: { type: 'RegularExpression', value: '/.*' } }], backendRefs: TO_WEB }],
  ],
  ['another namespace', [{ backendRefs: [{ name: 'web', namespace: 'other', port: 80 }] }]],
  ['no Service', [{ backendRefs: [{ group: 'x.io', kind: 'Bucket', name: 'web', port: 80 }] }]],
  ['nothing', [{}]],
])('a rule of an HTTPRoute that is about %s is no route', async (_, rules) => {
  expect(ways(await tableOf([], [service('web')], [httpRoute(rules)]))).toEqual([]);
});

test('an HTTPRoute that names no host itself is no route', async () => {
  const route = httpRoute([{ backendRefs: TO_WEB }], []);
  expect(ways(await tableOf([], [service('web')], [route]))).toEqual([]);
});
