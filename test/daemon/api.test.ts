/** Every route of the local API, asked of a whole daemon: what it answers is what it promises. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { systemClock } from '../../src/platform/clock.ts';
import { Problem } from '../../src/protocol/local-status.ts';
import type { DocumentedRoute } from '../../src/server/api/route.ts';
import { documentedRoutes } from '../../src/server/api/routes.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { type RunningDaemon, startDaemon } from './running-daemon.ts';

const AGENT_ID = 'agent-under-test';
const TOKEN = 'a-control-plane-token';
const TIMEOUT_MS = 20_000;
const ROUTES = documentedRoutes({ clock: systemClock });

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
`,
  });
  await finished('c-1', 'get_resources', {});
  await finished('c-2', 'scale', { name: 'none', replicas: 1 });
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

const title = ({ method, path }: DocumentedRoute) => `${method} ${path}`;

test.each(ROUTES.map((route) => [title(route), route] as const))(
  '%s answers what its schema promises, and no more',
  async (_, { method, path, answer, format, otherStatuses }) => {
    const response = await ask(path.replace('{id}', 'c-1'), { method });
    expect([200, ...otherStatuses]).toContain(response.status);
    const body: unknown = format === 'json' ? await response.json() : await response.text();
    expect(answer.parse(body)).toEqual(body);
  },
);

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

describe('commands', () => {
  test('are listed the newest first, a page at a time, with how they ended', async () => {
    const first = await json('/api/commands?limit=1');
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
