import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { NodeRow } from '../../src/kubernetes/cluster-status.ts';
import { parseQuantity } from '../../src/kubernetes/quantity.ts';
import { resourceUsageReader } from '../../src/kubernetes/resource-usage.ts';
import { systemHttp } from '../../src/platform/http.ts';
import { FakeCluster } from '../support/fake-cluster.ts';
import { memoryLog } from '../support/memory-log.ts';
import { makeCertificates } from '../support/tls.ts';

const never = new AbortController().signal;
const METRICS = '/apis/metrics.k8s.io/v1beta1/nodes';
const SUMMARY = {
  node: { cpu: { usageNanoCores: 500_000_000 }, memory: { workingSetBytes: 2 ** 30 } },
};

let cluster: FakeCluster;
beforeEach(() => {
  cluster = new FakeCluster();
});
afterEach(() => cluster[Symbol.asyncDispose]());

function node(name: string, kubeletPort = 1): NodeRow {
  const quantities = { cpu: '2', memory: '4Gi' };
  return {
    status: {
      ...{ name, ready: true, version: 'v1.34.4', os: 'linux', arch: 'amd64' },
      resources: { allocatable: quantities, capacity: quantities },
    },
    internalIp: '127.0.0.1',
    kubeletPort,
  };
}

/** @param ca what the agent trusts */
function reader(ca: string) {
  const log = memoryLog();
  const current = async () => ({ server: cluster.url, ca, token: 'agent-token' });
  const credentials = { current, reload: () => undefined };
  const read = resourceUsageReader({
    ...{ log, credentials, client: cluster.client(), http: systemHttp },
  });
  return { read, log };
}

async function kubelet(answer: (request: Request) => Response) {
  const tls = await makeCertificates(['127.0.0.1']);
  const server = Bun.serve({
    ...{ hostname: '127.0.0.1', port: 0, development: false, fetch: answer },
    tls: { cert: tls.cert, key: tls.key },
  });
  return {
    ca: tls.ca,
    port: server.port ?? 0,
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
}

test('usage comes from metrics.k8s.io where that is served', async () => {
  cluster.intercept = (url) =>
    url.pathname === METRICS
      ? Response.json({
          items: [
            { metadata: { name: 'one' }, usage: { cpu: '250000000n', memory: '1048576Ki' } },
            { metadata: { name: 'two' }, usage: { cpu: '750m', memory: '1Gi' } },
          ],
        })
      : undefined;
  const { read } = reader('');
  expect(await read([node('one'), node('two')], never)).toEqual({
    cpuPercent: 25,
    memoryPercent: 25,
  });
});

test('usage comes from the kubelet itself where nothing serves metrics.k8s.io', async () => {
  const seen: string[] = [];
  await using server = await kubelet((request) => {
    const { pathname } = new URL(request.url);
    seen.push(`${pathname} ${request.headers.get('authorization')}`);
    return Response.json(SUMMARY);
  });
  const { read, log } = reader(server.ca);
  expect(await read([node('one', server.port)], never)).toEqual({
    cpuPercent: 25,
    memoryPercent: 25,
  });
  expect(seen).toEqual(['/stats/summary Bearer agent-token']);
  expect(log.entries).toEqual([]);
});

test('a kubelet with a certificate of another CA gets no token and is not believed', async () => {
  let asked = 0;
  await using server = await kubelet(() => {
    asked += 1;
    return Response.json(SUMMARY);
  });
  const other = await makeCertificates(['127.0.0.1']);
  const { read, log } = reader(other.ca);
  const nodes = [node('one', server.port)];
  expect(await read(nodes, never)).toEqual({ cpuPercent: 0, memoryPercent: 0 });
  expect(await read(nodes, never)).toEqual({ cpuPercent: 0, memoryPercent: 0 });
  expect(asked).toBe(0);
  // Once, and not as an error: nothing is broken.
  expect(log.entries.map(({ level, message }) => [level, message])).toEqual([
    ['debug', 'cannot measure CPU and memory of the cluster'],
  ]);
});

test.each([
  ['a refusal', () => new Response('Forbidden', { status: 403 })],
  ['no JSON', () => new Response('<html>')],
  ['an empty summary', () => Response.json({})],
])('a kubelet that answers with %s measures nothing', async (_, answer) => {
  await using server = await kubelet(answer);
  const { read } = reader(server.ca);
  expect(await read([node('one', server.port)], never)).toEqual({
    cpuPercent: 0,
    memoryPercent: 0,
  });
});

test('usage is that of the nodes that were measured', async () => {
  await using server = await kubelet(() => Response.json(SUMMARY));
  const { read } = reader(server.ca);
  const usage = await read([node('away', 1), node('one', server.port)], never);
  expect(usage).toEqual({ cpuPercent: 25, memoryPercent: 25 });
});

test.each([
  ['2', 2],
  ['1500m', 1.5],
  ['123456789n', 0.123456789],
  ['4013080Ki', 4_013_080 * 1024],
  ['1e3', 1_000],
  ['12E', 12e18],
  ['', undefined],
  ['many', undefined],
])('parseQuantity() reads %p', (text, value) => {
  const parsed = parseQuantity(text);
  if (value === undefined) {
    expect(parsed).toBeUndefined();
  } else {
    expect(parsed).toBeCloseTo(value, 9);
  }
});
