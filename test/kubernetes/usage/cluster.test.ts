import { afterEach, beforeEach, expect, test } from 'bun:test';
import { resourceUsageReader } from '../../../src/kubernetes/usage/cluster.ts';
import { parseQuantity } from '../../../src/kubernetes/usage/quantity.ts';
import type { NodeRow } from '../../../src/kubernetes/watch/cluster-status.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { FakeCluster } from '../../support/fake-cluster.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { makeCertificates } from '../../support/tls.ts';

const never = new AbortController().signal;
const METRICS = '/apis/metrics.k8s.io/v1beta1/nodes';
const SUMMARY = {
  node: { cpu: { usageNanoCores: 500_000_000 }, memory: { workingSetBytes: 2 ** 30 } },
};

const TOKENS = '/api/v1/namespaces/pipeops-system/serviceaccounts/pipeops-agent-stats/token';
/** A ServiceAccount's token as far as the agent reads it: when it was made, and when it ends. */
const statsToken = (count: number) =>
  `x.${Buffer.from(JSON.stringify({ iat: count, exp: 4_000_000_000 })).toString('base64url')}.y`;

let cluster: FakeCluster;
let minted: number;
function mint(url: URL): Response | undefined {
  if (url.pathname !== TOKENS) {
    return undefined;
  }
  minted += 1;
  return Response.json({ status: { token: statsToken(minted) } });
}
beforeEach(() => {
  cluster = new FakeCluster();
  minted = 0;
  cluster.intercept = (url) => mint(url);
});
afterEach(() => cluster[Symbol.asyncDispose]());

function node(name: string, kubeletPort = 1): NodeRow {
  const quantities = { cpu: '2', memory: '4Gi' };
  return {
    status: {
      name,
      ready: true,
      version: 'v1.36.3',
      os: 'linux',
      arch: 'amd64',
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
  const clock = manualClock();
  const read = resourceUsageReader({
    clock,
    log,
    credentials,
    client: cluster.client(),
    http: systemHttp,
  });
  return { read, log };
}

async function kubelet(answer: (request: Request) => Response) {
  const tls = await makeCertificates(['127.0.0.1']);
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    development: false,
    fetch: answer,
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
      : mint(url);
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
  // Not the agent's own token: root on a worker can use what its kubelet sees.
  expect(seen).toEqual([`/stats/summary Bearer ${statsToken(1)}`]);
  expect(log.entries).toEqual([]);
});

test('the token for kubelets is minted once, and again when a kubelet does not take it', async () => {
  let accepted = statsToken(1);
  await using server = await kubelet((request) =>
    request.headers.get('authorization') === `Bearer ${accepted}`
      ? Response.json(SUMMARY)
      : new Response('Unauthorized', { status: 401 }),
  );
  const { read } = reader(server.ca);
  const nodes = [node('one', server.port), node('two', server.port)];
  const cpu = async () => (await read(nodes, never)).cpuPercent;
  expect([await cpu(), await cpu(), minted]).toEqual([25, 25, 1]);
  accepted = statsToken(2);
  expect([await cpu(), await cpu(), minted]).toEqual([0, 25, 2]);
});

test('without a token for kubelets nothing is measured, and nothing else is sent to them', async () => {
  let asked = 0;
  await using server = await kubelet(() => {
    asked += 1;
    return Response.json(SUMMARY);
  });
  cluster.intercept = (url) =>
    url.pathname === TOKENS ? Response.json({ reason: 'Forbidden' }, { status: 403 }) : undefined;
  const { read } = reader(server.ca);
  expect(await read([node('one', server.port)], never)).toEqual({
    cpuPercent: 0,
    memoryPercent: 0,
  });
  expect(asked).toBe(0);
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
