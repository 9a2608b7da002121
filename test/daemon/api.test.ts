/** Every route of the local API, asked of a whole daemon: what it answers is what it promises. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { CommandRow } from '../../src/protocol/local-commands.ts';
import { RealtimeEvent } from '../../src/protocol/local-realtime.ts';
import { Problem } from '../../src/protocol/local-status.ts';
import { type DocumentedRoute, documentedRoutes } from '../../src/server/api/route.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts';
import { eventsIn, openEvents } from '../support/event-stream.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';
import { type RunningDaemon, startDaemon } from './running-daemon.ts';

const AGENT_ID = 'agent-under-test';
const TOKEN = 'a-control-plane-token';
const TIMEOUT_MS = 20_000;
/** Looks like one. */
const SECRET = `ghp_${'a1B2'.repeat(9)}`;
const ROUTES = documentedRoutes();

let directory: TempDirectory;
let kubernetes: FakeKubernetes;
let controlPlane: ControlPlane;
let daemon: RunningDaemon;

beforeAll(async () => {
  directory = await tempDirectory();
  kubernetes = await startFakeKubernetes();
  putObjects();
  controlPlane = startControlPlane({
    token: TOKEN,
    databasePath: join(directory.path, 'control-plane.db'),
  });
  daemon = await startDaemon(directory.path, {
    kubernetes,
    credentials: { 'control-plane-token': TOKEN },
    config: `agent: {id: ${AGENT_ID}}
http: {port: 0, tls_port: 0}
control_plane: {url: "${controlPlane.url}", poll_interval: 500ms}
debug: {profiling: true}
`,
  });
  await finished('c-1', 'get_resources', {});
  await finished('c-2', 'scale', { name: 'none', replicas: 1 });
  await finished('c-exec', 'exec', { namespace: 'default', pod: 'web-1', command: ['id'] });
  // Last of all it is known that there are no Gateways.
  await until('the ways in are known', async () => (await ask('/api/tunnels')).ok);
});

afterAll(async () => {
  await daemon.stop();
  await controlPlane[Symbol.asyncDispose]();
  await kubernetes[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

function putObjects(): void {
  const pods = '/api/v1/namespaces/default/pods';
  for (const [name, restartCount, app] of [
    ['web-1', 3, 'web'],
    ['web-2', 1, 'web'],
    ['db', 2, 'db'],
  ] as const) {
    kubernetes.put(`${pods}/${name}`, {
      metadata: { namespace: 'default', labels: { app } },
      spec: { nodeName: 'node-1', containers: [{ name: app }] },
      status: { phase: 'Running', containerStatuses: [{ restartCount }] },
    });
  }
  kubernetes.put('/api/v1/namespaces/default/services/web', {
    metadata: { namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, protocol: 'TCP' }] },
  });
  const backend = { service: { name: 'web', port: { number: 80 } } };
  kubernetes.put('/apis/networking.k8s.io/v1/namespaces/default/ingresses/shop', {
    metadata: { namespace: 'default', labels: { 'pipeops.io/managed': 'true' } },
    spec: {
      tls: [{ hosts: ['shop.example.com'] }],
      rules: ['shop.example.com', 'old.example.com'].map((host) => ({
        host,
        http: { paths: [{ path: '/', pathType: 'Prefix', backend }] },
      })),
    },
  });
  const metrics = '/apis/metrics.k8s.io/v1beta1';
  for (const [name, cpu] of [
    ['web-1', '250m'],
    ['db', '1500000n'],
  ] as const) {
    kubernetes.put(`${metrics}/namespaces/default/pods/${name}`, {
      metadata: { namespace: 'default' },
      containers: [{ usage: { cpu, memory: '64Mi' } }, { usage: { cpu: '0', memory: '1Mi' } }],
    });
  }
  kubernetes.put(`${metrics}/nodes/${hostname().toLowerCase()}`, {
    usage: { cpu: '1', memory: '1Gi' },
  });
  kubernetes.podLogs.set(`${pods}/web-1`, `first\n${SECRET}\nlast`);
  kubernetes.put('/api/v1/namespaces/default', {});
  for (const [name, type, lastTimestamp] of [
    ['e1', 'Normal', '2026-01-01T00:00:00Z'],
    ['e2', 'Warning', '2026-01-01T00:01:00Z'],
  ] as const) {
    kubernetes.put(`/api/v1/namespaces/default/events/${name}`, {
      metadata: { namespace: 'default' },
      involvedObject: { kind: 'Pod', name: 'web-1', namespace: 'default' },
      ...{ type, reason: 'Why', message: 'm'.repeat(600), count: 2, lastTimestamp },
    });
  }
}

/** Lets the agent run a command of the control plane. */
async function finished(id: string, type: string, payload: Record<string, unknown>) {
  const created_at = new Date().toISOString();
  controlPlane.store.queue(AGENT_ID, { id, type, payload, timeout_seconds: null, created_at });
  await controlPlane.waitFor(
    () => controlPlane.store.command(AGENT_ID, id)?.state === 'done' || undefined,
    TIMEOUT_MS,
  );
}

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`http://agent${path}`, { ...init, unix: join(directory.path, 'agent.sock') });
// biome-ignore lint/suspicious/noExplicitAny: each test says what it reads, and the schemas are checked above
const json = async (path: string): Promise<any> => (await ask(path)).json();

const PARTS: Readonly<Record<string, string>> = { id: 'c-1', namespace: 'default', pod: 'web-1' };
const addressOf = (path: string) => path.replaceAll(/{(\w+)}/g, (_, name) => PARTS[name] ?? '');
/** Of routes that need one. */
const QUERIES: Readonly<Record<string, string>> = {
  'POST /api/log-level': '?level=info',
  'GET /debug/profile': '?seconds=1',
};
const title = ({ method, path }: DocumentedRoute) => `${method} ${path}`;

test.each(ROUTES.map((route) => [title(route), route] as const))(
  '%s answers what its schema promises, and no more',
  async (_, route) => {
    const { method, path, answer, format, otherStatuses } = route;
    const query = format === 'events' ? '?follow=false' : (QUERIES[title(route)] ?? '');
    const response = await ask(addressOf(path) + query, { method });
    expect([200, ...otherStatuses]).toContain(response.status);
    if (format === 'events') {
      for (const event of eventsIn(await response.text())) {
        expect(answer.parse(event)).toEqual(event);
      }
      return;
    }
    const body: unknown = format === 'json' ? await response.json() : await response.text();
    expect(answer.parse(body)).toEqual(body);
  },
);

test('an answer tells the time of the machine, also one that is known already', async () => {
  const whole = await ask('/api/settings');
  const known = await ask('/api/settings', {
    headers: { 'if-none-match': whole.headers.get('etag') ?? '' },
  });
  const isNow = ({ status, headers }: Response) => [
    status,
    Math.abs(Date.parse(headers.get('date') ?? '') - Date.now()) < 60_000,
  ];
  expect([isNow(whole), isNow(known)]).toEqual([
    [200, true],
    [304, true],
  ]);
});

test('the document tells every route, with each of its parameters', async () => {
  const { openapi, paths } = await json('/openapi.json');
  expect(openapi).toBe('3.1.1');
  const told = Object.entries<Record<string, { parameters: { name: string; in: string }[] }>>(
    paths,
  ).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters }]) => {
      const inPath = parameters.filter((each) => each.in === 'path').map(({ name }) => `{${name}}`);
      expect([...path.matchAll(/\{\w+\}/g)].map(([part]) => part)).toEqual(inPath);
      return `${method.toUpperCase()} ${path}`;
    }),
  );
  expect(told.sort()).toEqual(ROUTES.map(title).sort());
});

describe('the cluster', () => {
  test('pods are filtered, sorted and paged', async () => {
    const names = async (query: string) => {
      const { total, items } = await json(`/api/k8s/pods?${query}`);
      return [total, ...items.map((pod: { name: string }) => pod.name)];
    };
    expect(await names('sort=-restarts')).toEqual([3, 'web-1', 'db', 'web-2']);
    expect(await names('label=app%3Dweb')).toEqual([2, 'web-1', 'web-2']);
    expect(await names('name=eb&limit=1&offset=1')).toEqual([2, 'web-2']);
    expect(await names('namespace=other')).toEqual([0]);
    expect(await names('node=node-1&phase=Running&limit=1')).toEqual([3, 'db']);
  });

  test('what nodes and pods use is told, the most first', async () => {
    expect((await json('/api/k8s/usage/pods?limit=1')).items).toEqual([
      { namespace: 'default', name: 'web-1', cpu: 0.25, memory_bytes: 65 * 2 ** 20 },
    ]);
    expect((await json('/api/k8s/usage/pods?sort=name&namespace=default')).total).toBe(2);
    expect((await json('/api/k8s/usage/pods?namespace=other')).total).toBe(0);
    expect((await json('/api/k8s/usage/nodes')).items).toEqual([
      {
        ...{ name: hostname().toLowerCase(), cpu: 1, memory_bytes: 2 ** 30 },
        ...{ cpu_capacity: null, memory_capacity_bytes: null },
      },
    ]);
  });

  test('events come the newest first, with short messages', async () => {
    const { items } = await json('/api/k8s/events');
    expect(items.map((event: { type: string }) => event.type)).toEqual(['Warning', 'Normal']);
    expect(items[0]).toEqual({
      ...{ namespace: 'default', kind: 'Pod', name: 'web-1', type: 'Warning', reason: 'Why' },
      ...{ message: 'm'.repeat(500), count: 2, last_seen: '2026-01-01T00:01:00Z' },
    });
    const warnings = await json('/api/k8s/events?type=Warning');
    expect(warnings).toMatchObject({ total: 1, truncated: false });
  });

  test('events of a namespace are read from it alone, so that those of others cannot crowd them out', async () => {
    const before = kubernetes.requests.length;
    expect((await json('/api/k8s/events?namespace=default')).total).toBe(2);
    expect(kubernetes.requests.slice(before)).toContain('GET /api/v1/namespaces/default/events');
    const wrong = await ask('/api/k8s/events?namespace=..%2Fpods');
    expect(Problem.parse(await wrong.json())).toMatchObject({ status: 400, code: 'USAGE' });
  });
});

test('routes are told with where they lead', async () => {
  const { total, left_out } = await json('/api/routes');
  expect([total, left_out]).toEqual([2, 0]);
  expect((await json('/api/routes?name=shop&namespace=default')).items).toEqual([
    {
      ...{ host: 'shop.example.com', path: '/', path_type: 'Prefix', tls: true },
      ...{ namespace: 'default', name: 'shop', service: 'web', port: 80 },
    },
  ]);
  expect((await json('/api/routes?namespace=other')).total).toBe(0);
  expect(await json('/api/tunnels')).toMatchObject({ total: 0, streams: { active: 0 } });
  expect(await json('/api/tunnels/streams')).toEqual({ total: 0, offset: 0, items: [] });
});

test('what the policy refused is told, and by which rule', async () => {
  expect((await json('/api/policy/refusals?name=exec')).items).toMatchObject([
    { kind: 'command', about: 'exec in default', rule: 'standard/exec', times: 1 },
  ]);
  const { preset, rules } = await json('/api/policy/rules');
  expect(preset).toBe('standard');
  expect(rules).toContainEqual({ rule: 'standard/exec', meaning: 'refused' });
});

describe('commands', () => {
  test('are listed the newest first, a page at a time, with how they ended', async () => {
    // Other tests of this file have commands run, before this one or after it.
    const all = (await json('/api/commands')).items.map(({ sequence }: CommandRow) => sequence);
    expect(all).toEqual([...all].sort((one, other) => other - one));
    const behind = (await json('/api/commands/c-2')).sequence + 1;
    const first = await json(`/api/commands?limit=1&before=${behind}`);
    expect(first.items).toMatchObject([{ id: 'c-2', type: 'scale', outcome: 'failed' }]);
    const second = await json(`/api/commands?limit=1&before=${first.next}`);
    expect(second).toMatchObject({ items: [{ id: 'c-1', outcome: 'succeeded' }], next: null });
    expect((await json('/api/commands?state=accepted')).items).toEqual([]);
  });

  test('one is shown with its result', async () => {
    expect(await json('/api/commands/c-2')).toMatchObject({
      ...{ id: 'c-2', outcome: 'failed', progress: null },
      result: { success: false, error_code: 'NOT_FOUND' },
    });
  });

  test('one that has ended cannot be cancelled, nor one that nobody knows', async () => {
    const cancel = (id: string) => ask(`/api/commands/${id}/cancel`, { method: 'POST' });
    expect(await (await cancel('c-2')).json()).toEqual({ outcome: 'finished' });
    const unknown = await cancel('none');
    expect([unknown.status, Problem.parse(await unknown.json()).code]).toEqual([404, 'NOT_FOUND']);
  });
});

test('what it depends on is told as health has it', async () => {
  expect(await json('/api/status/connectivity')).toMatchObject({
    tests: {
      kubernetes_api: { status: true, error: null },
      control_plane: { status: true, error: null, method: 'websocket' },
    },
  });
  const { commands, features } = await json('/api/status/features');
  expect(commands).toContain('deploy');
  expect(features).toMatchObject({ k8s_api: true, tunnel: true });
});

describe('what containers write', () => {
  const log = (query: string, pod = 'web-1') => ask(`/api/k8s/logs/default/${pod}?${query}`);

  test('comes as lines without secrets, to its end or for as long as it is read', async () => {
    const text = 'first\n[redacted]\nlast';
    expect(await (await log('tail=5')).text()).toBe(text);
    const stop = new AbortController();
    const followed = await ask('/api/k8s/logs/default/web-1?follow=true', { signal: stop.signal });
    const { value } = (await followed.body?.getReader().read()) ?? {};
    // The last line has no end yet, and may become a secret.
    expect(new TextDecoder().decode(value)).toBe('first\n[redacted]\n');
    stop.abort();
  });

  test('is refused before anything is sent, with the reason', async () => {
    const problem = async (response: Response) => {
      const { status, code } = Problem.parse(await response.json());
      return [status, code];
    };
    expect(await problem(await log('', 'none'))).toEqual([404, 'NOT_FOUND']);
    expect(await problem(await log('container=none'))).toEqual([404, 'NOT_FOUND']);
    expect(await problem(await log('previous=true'))).toEqual([404, 'NOT_FOUND']);
    expect(await problem(await log('tail=x'))).toEqual([400, 'USAGE']);
  });
});

test('the level of the log is changed for a while', async () => {
  const change = (query: string) => ask(`/api/log-level?${query}`, { method: 'POST' });
  const changed = await (await change('level=debug&seconds=60')).json();
  expect(changed).toMatchObject({ level: 'debug', configured: 'info', until: expect.any(String) });
  expect(await json('/api/log-level')).toEqual(changed);
  expect(daemon.log.some((line) => line.includes('answered a request'))).toBeTrue();
  await change('level=info');
  expect(await json('/api/log-level')).toMatchObject({ level: 'info', until: null });
  expect((await change('level=loud')).status).toBe(400);
});

test('the log of the agent is told as it is written, from the newest lines on', async () => {
  const unix = join(directory.path, 'agent.sock');
  await using stream = await openEvents('http://agent/api/realtime/logs?level=info&tail=1000', {
    unix,
  });
  await stream.until('log', ({ message }) => message === 'starting');
  await finished('c-5', 'get_resources', {});
  const line = await stream.until('log', ({ fields }) => fields.command_id === 'c-5');
  expect(line.data).toMatchObject({ level: 'info', message: 'command accepted' });
  await using later = await openEvents(`http://agent/api/realtime/logs?after=${line.id}`, { unix });
  await later.next('connected');
  expect(later.events.filter(({ event }) => event === 'gap')).toEqual([]);
});

describe('what happens is told as it happens', () => {
  const open = (query = '') =>
    openEvents(`http://agent/api/realtime/events${query}`, {
      unix: join(directory.path, 'agent.sock'),
    });

  test('a command, an event of the cluster, and health that changes', async () => {
    await using stream = await open();
    expect((await stream.next('connected')).data).toMatchObject({ agent_id: AGENT_ID });
    await finished('c-3', 'get_resources', {});
    await stream.until('command', ({ id, outcome }) => id === 'c-3' && outcome === 'succeeded');
    await stream.until('command', ({ id, state }) => id === 'c-3' && state === 'delivered');
    const told = stream.until('kubernetes_event', ({ reason }) => reason === 'Now');
    const happened = '/api/v1/namespaces/default/events/e3';
    kubernetes.put(happened, {
      metadata: { namespace: 'default' },
      involvedObject: { kind: 'Pod', name: 'web-1', namespace: 'default' },
      ...{ type: 'Warning', reason: 'Now', message: 'm', count: 1 },
      lastTimestamp: new Date().toISOString(),
    });
    expect((await told).data).toMatchObject({ kind: 'Pod', name: 'web-1', type: 'Warning' });
    kubernetes.remove(happened);
    await json('/api/k8s/deployments'); // From a question on they are followed.
    const changed = stream.until('rows', ({ kinds }) => kinds.includes('deployments'));
    const deployment = '/apis/apps/v1/namespaces/default/deployments/late';
    kubernetes.put(deployment, { metadata: { namespace: 'default' } });
    expect((await changed).data.kinds).toEqual(['deployments']);
    kubernetes.remove(deployment);
    kubernetes.failWith = 500;
    await stream.until('health', ({ ready }) => ready === false);
    kubernetes.failWith = undefined;
    await stream.until('health', ({ ready }) => ready === true);
    for (const { event, data } of stream.events) {
      const told: unknown = { event, data };
      expect<unknown>(RealtimeEvent.parse(told)).toEqual(told);
    }
    await until('an answer of then is used no more', async () => {
      const { tests } = await json('/api/status/connectivity');
      return tests.kubernetes_api.status;
    });
  }, 40_000);

  test('who comes back goes on behind what it knows, and hears of a gap where it cannot', async () => {
    const first = await open();
    const { id } = await first.next('connected');
    await first[Symbol.asyncDispose]();
    await finished('c-4', 'get_resources', {});
    await using second = await open(`?after=${id}`);
    await second.until('command', ({ id: of, outcome }) => of === 'c-4' && outcome === 'succeeded');
    expect(second.events.map(({ event }) => event)).not.toContain('gap');
    await using other = await open('?after=another-1');
    expect((await other.next('gap')).data).toMatchObject({ reason: 'restarted' });
  });

  test('who only wants to know whether there is one is answered at once', async () => {
    expect((await ask('/api/realtime/events', { method: 'HEAD' })).status).toBe(200);
  });
});
