import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { Random } from '../../src/core/ports.ts';
import { sharedFollowing } from '../../src/kubernetes/watch/shared-following.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import { ClusterStatus } from '../../src/protocol/rest.ts';
import { StatusReportPayload } from '../../src/protocol/session/messages.ts';
import { FULL_REPORT_INTERVAL_MS } from '../../src/reporting/status-reports.ts';
import { statusSource } from '../../src/reporting/status-source.ts';
import { StatusReplica } from '../support/control-plane/status-replica.ts';
import { failureOf } from '../support/failure-of.ts';
import { FakeCluster, type FakeObject } from '../support/fake-cluster.ts';
import { memoryLog } from '../support/memory-log.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { until } from '../support/until.ts';

const never = new AbortController().signal;
const CREATED = '2026-01-01T00:00:00Z';
const PATHS = {
  nodes: '/api/v1/nodes',
  namespaces: '/api/v1/namespaces',
  deployments: '/apis/apps/v1/deployments',
  services: '/api/v1/services',
  pods: '/api/v1/pods',
} as const;
type Kind = keyof typeof PATHS;
const KINDS = Object.keys(PATHS) as Kind[];

let cluster: FakeCluster;
beforeEach(() => {
  cluster = new FakeCluster();
});
afterEach(() => cluster[Symbol.asyncDispose]());

function object(name: string, fields: Record<string, unknown> = {}): FakeObject {
  const metadata = { name, namespace: 'shop', creationTimestamp: CREATED, labels: { app: name } };
  return { metadata, ...fields };
}

function clusterWide(name: string): FakeObject {
  return { metadata: { name } };
}

/** A clock of the system whose monotonic time can be moved on. */
function movableClock() {
  let aheadMs = 0;
  const monotonic = () => systemClock.monotonic() + aheadMs;
  return {
    ...systemClock,
    monotonic,
    moveOn: (ms: number) => {
      aheadMs += ms;
    },
  };
}

async function reporting() {
  const clock = movableClock();
  const log = memoryLog();
  const random: Random = { ...seededRandom(1), fraction: () => 0.01 };
  const client = cluster.client();
  const credentials = {
    current: async () => ({ server: cluster.url, ca: '', token: 'test' }),
    reload: () => undefined,
  };
  const stop = new AbortController();
  const { source, service, current } = statusSource({
    clock,
    random,
    log,
    client,
    credentials,
    follow: sharedFollowing({ clock, random, log, client }),
    http: systemHttp,
  });
  const { done } = await service.start(stop.signal);
  const full = async () => {
    let text = '';
    for await (const piece of await source.fullJson(never)) {
      text += piece;
    }
    return ClusterStatus.parse(JSON.parse(text));
  };
  return {
    clock,
    log,
    source,
    full,
    current,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
    },
  };
}

async function collect(reports: AsyncIterable<StatusReportPayload>) {
  const all: StatusReportPayload[] = [];
  for await (const report of reports) {
    all.push(StatusReportPayload.parse(report));
  }
  return all;
}

type Known = Record<Kind, Map<string, unknown>>;

/** A peer that knows the cluster only from reports. */
function peer() {
  const replica = new StatusReplica();
  let known: Known | undefined;
  const take = (report: StatusReportPayload) => {
    const outcome = replica.take(report);
    if (outcome.kind === 'status') {
      known = knownFrom(outcome.status);
    } else {
      expect(outcome).toEqual({ kind: 'waiting' });
    }
  };
  return { known: () => known, take };
}

function keyOf(row: string | { readonly name: string; readonly namespace?: string }): string {
  if (typeof row === 'string') {
    return row;
  }
  return row.namespace === undefined ? row.name : `${row.namespace}/${row.name}`;
}

function knownFrom(status: ClusterStatus): Known {
  return Object.fromEntries(
    KINDS.map((kind) => [kind, new Map((status[kind] ?? []).map((row) => [keyOf(row), row]))]),
  ) as Known;
}

test('fullJson() is the status of the seed, with empty lists where there is nothing', async () => {
  cluster.put(PATHS.pods, object('web-1', { spec: { nodeName: 'one', containers: [{}] } }));
  await using agent = await reporting();
  const { timestamp: _, ...status } = await agent.full();
  expect(status).toEqual({
    nodes: [],
    namespaces: [],
    deployments: [],
    services: [],
    pods: [
      {
        name: 'web-1',
        namespace: 'shop',
        labels: { app: 'web-1' },
        ready: false,
        created_at: CREATED,
        phase: 'Unknown',
        node_name: 'one',
        containers: 1,
        restarts: 0,
      },
    ],
    metrics: { cpu_usage: 0, memory_usage: 0, pod_count: 1, node_count: 0 },
  });
  expect(agent.source.summary()).toEqual({
    kubernetesVersion: 'v1.36.3+k3s1',
    nodes: 0,
    pods: 1,
    cpuPercent: 0,
    memoryPercent: 0,
  });
});

test('gives nodes, workloads and pods as the wire wants them', async () => {
  const ready = [{ type: 'Ready', status: 'True' }];
  const labels = { zone: 'a' };
  cluster.put(PATHS.nodes, {
    metadata: { name: 'one', labels },
    status: {
      nodeInfo: { kubeletVersion: 'v1.36.3+k3s1', operatingSystem: 'linux', architecture: 'amd64' },
      conditions: ready,
      allocatable: { cpu: '2', memory: '4Gi' },
      capacity: { cpu: '2' },
    },
  });
  cluster.put(PATHS.namespaces, clusterWide('shop'));
  cluster.put(PATHS.deployments, object('web', { spec: { replicas: 2 } }));
  const containerStatuses = [{ restartCount: 2 }, { restartCount: 1 }];
  cluster.put(
    PATHS.pods,
    object('web-1', {
      spec: { nodeName: 'one', containers: [{ name: 'web' }] },
      status: { phase: 'Running', conditions: ready, containerStatuses },
    }),
  );
  await using agent = await reporting();
  const resource = { namespace: 'shop', created_at: CREATED };
  expect(await agent.current(never)).toEqual({
    nodes: [
      {
        name: 'one',
        ready: true,
        version: 'v1.36.3+k3s1',
        os: 'linux',
        arch: 'amd64',
        labels,
        resources: { allocatable: { cpu: '2', memory: '4Gi' }, capacity: { cpu: '2' } },
      },
    ],
    namespaces: ['shop'],
    deployments: [{ ...resource, name: 'web', labels: { app: 'web' }, ready: false }],
    services: [],
    pods: [
      {
        ...resource,
        name: 'web-1',
        labels: { app: 'web-1' },
        ready: true,
        phase: 'Running',
        node_name: 'one',
        containers: 1,
        restarts: 3,
      },
    ],
    metrics: { cpu_usage: 0, memory_usage: 0, pod_count: 1, node_count: 1 },
    timestamp: expect.any(String),
  });
});

test('a kind that cannot be listed is null, not empty', async () => {
  cluster.intercept = (url) =>
    url.pathname === PATHS.services ? new Response('{}', { status: 403 }) : undefined;
  await using agent = await reporting();
  const status = await agent.full();
  expect([status.services, status.pods]).toEqual([null, []]);
  const [report] = await collect(await agent.source.reports().next(never));
  expect(Object.keys(report?.changed ?? {})).toEqual([
    'nodes',
    'namespaces',
    'deployments',
    'pods',
  ]);
});

test('reports say that nothing is known rather than report an empty cluster', async () => {
  cluster.intercept = () => new Response('{"message":"starting"}', { status: 503 });
  await using agent = await reporting();
  const failure = await failureOf(() => agent.source.fullJson(never));
  expect(failure).toMatchObject({
    code: 'KUBERNETES_API',
    message: expect.stringContaining('The state of the cluster is not known'),
  });
});

test('the first report is full; then deltas come; then a full one after reset and after a while', async () => {
  for (const name of ['a', 'b', 'c']) {
    cluster.put(PATHS.pods, object(name));
  }
  await using agent = await reporting();
  const reports = agent.source.reports();
  const next = async () => collect(await reports.next(never));
  const kinds: string[] = [];
  const [first] = await next();
  kinds.push(first?.kind ?? '');
  cluster.remove(PATHS.pods, 'shop/b');
  cluster.put(PATHS.pods, object('d', { spec: { containers: [] } }));
  cluster.put(PATHS.pods, object('e', { spec: { containers: [] } }));
  await until('the pods are known', () => agent.source.summary().pods === 4);
  const [delta] = await next();
  kinds.push(delta?.kind ?? '');
  expect(delta).toMatchObject({
    sequence: 2,
    base: 1,
    part: 1,
    parts: 1,
    removed: { pods: ['shop/b'] },
    changed: { pods: [{ name: 'd' }, { name: 'e' }] },
  });
  reports.reset();
  kinds.push((await next())[0]?.kind ?? '', (await next())[0]?.kind ?? '');
  agent.clock.moveOn(FULL_REPORT_INTERVAL_MS);
  kinds.push((await next())[0]?.kind ?? '');
  expect(kinds).toEqual(['full', 'delta', 'full', 'delta', 'full']);
});

test('a delta larger than the cluster is a full report', async () => {
  for (let index = 0; index < 20; index += 1) {
    cluster.put(PATHS.pods, object(`p${index}`));
  }
  await using agent = await reporting();
  const reports = agent.source.reports();
  await collect(await reports.next(never));
  for (let index = 0; index < 19; index += 1) {
    cluster.remove(PATHS.pods, `shop/p${index}`);
  }
  await until('the pods are known', () => agent.source.summary().pods === 1);
  const [report] = await collect(await reports.next(never));
  expect(report).toMatchObject({ kind: 'full', changed: { pods: [{ name: 'p19' }] } });
});

test('a report that does not fit into one message comes in parts below 1 MiB', async () => {
  for (let index = 0; index < 2_000; index += 1) {
    const labels = { long: 'x'.repeat(63), longer: 'y'.repeat(600) };
    cluster.put(PATHS.pods, { metadata: { ...object(`p${index}`).metadata, labels } });
  }
  await using agent = await reporting();
  const parts = await collect(await agent.source.reports().next(never));
  expect(parts.map(({ part }) => part)).toEqual([1, 2, 3, 4]);
  expect(Math.max(...parts.map((part) => JSON.stringify(part).length))).toBeLessThan(1024 * 1024);
  const to = peer();
  parts.map(to.take);
  expect(to.known()?.pods.size).toBe(2_000);
});

test('whatever happens to the cluster and the watches, a peer that applies the reports knows it', async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9));
  console.log(`SEED=${seed}`);
  const random = seededRandom(seed);
  const below = (count: number) => Math.floor(random.fraction() * count);
  await using agent = await reporting();
  const reports = agent.source.reports();
  const to = peer();
  const change = () => {
    const kind = KINDS[below(KINDS.length)] ?? 'pods';
    const name = `o${below(30)}`;
    const wide = kind === 'nodes' || kind === 'namespaces';
    if (random.fraction() < 0.4) {
      cluster.remove(PATHS[kind], wide ? name : `shop/${name}`);
    } else if (wide) {
      cluster.put(PATHS[kind], clusterWide(name));
    } else {
      cluster.put(
        PATHS[kind],
        object(name, { spec: { replicas: below(3), nodeName: `n${below(3)}`, containers: [] } }),
      );
    }
  };
  const matches = async () => {
    const status = await agent.full();
    return KINDS.every((kind) =>
      Bun.deepEquals(
        [...knownFrom(status)[kind].keys()].sort(),
        [...cluster.keys(PATHS[kind])].sort(),
      ),
    );
  };
  for (let round = 0; round < 60; round += 1) {
    for (let each = below(20); each >= 0; each -= 1) {
      change();
    }
    const trouble = below(6);
    if (trouble === 0) {
      cluster.disconnect();
    } else if (trouble === 1) {
      cluster.compact();
      cluster.disconnect();
    } else if (trouble === 2) {
      reports.reset();
    }
    for (const report of await collect(await reports.next(never))) {
      to.take(report);
    }
  }
  await until('the agent knows what the cluster has', matches);
  for (const report of await collect(await reports.next(never))) {
    to.take(report);
  }
  expect(to.known()).toEqual(knownFrom(await agent.full()));
});
