import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { kubernetesClient } from '../../src/kubernetes/client.ts';
import { readClusterStatus } from '../../src/kubernetes/cluster-status.ts';
import { systemHttp } from '../../src/platform/http.ts';
import { ClusterStatus } from '../../src/protocol/rest.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { clientOf } from '../support/fake-kubernetes-client.ts';
import { manualClock } from '../support/manual-clock.ts';

const CREATED = '2026-01-01T00:00:00Z';
const DEPLOYMENT = '/apis/apps/v1/namespaces/shop/deployments/web';
const never = new AbortController().signal;

let kubernetes: FakeKubernetes;

beforeEach(async () => {
  kubernetes = await startFakeKubernetes();
});
afterEach(async () => await kubernetes[Symbol.asyncDispose]());

function putPod(name: string, status: Record<string, unknown>): void {
  kubernetes.put(`/api/v1/namespaces/shop/pods/${name}`, {
    metadata: { name, namespace: 'shop', creationTimestamp: CREATED },
    spec: { nodeName: 'one', containers: [{ name: 'web' }] },
    status,
  });
}

test('readClusterStatus() gives nodes, namespaces, workloads and pods as the wire wants them', async () => {
  kubernetes.put('/api/v1/nodes/one', {
    metadata: { labels: { zone: 'a' } },
    status: {
      nodeInfo: { kubeletVersion: 'v1.34.4+k3s1', operatingSystem: 'linux', architecture: 'amd64' },
      conditions: [{ type: 'Ready', status: 'True' }],
      allocatable: { cpu: '2', memory: '4Gi' },
      capacity: { cpu: '2' },
    },
  });
  kubernetes.put('/api/v1/namespaces/shop', {});
  kubernetes.put(DEPLOYMENT, {
    metadata: { namespace: 'shop', creationTimestamp: CREATED, labels: { app: 'web' } },
    spec: { replicas: 2 },
  });
  putPod('web-1', {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: 'True' }],
    containerStatuses: [{ restartCount: 2 }, { restartCount: 1 }],
  });
  const clock = manualClock();
  const status = await readClusterStatus({ clock, client: clientOf(kubernetes) }, never);
  expect(ClusterStatus.parse(status)).toEqual({
    nodes: [
      {
        name: 'one',
        ready: true,
        version: 'v1.34.4+k3s1',
        os: 'linux',
        arch: 'amd64',
        labels: { zone: 'a' },
        resources: { allocatable: { cpu: '2', memory: '4Gi' }, capacity: { cpu: '2' } },
      },
    ],
    namespaces: ['shop'],
    deployments: [
      {
        name: 'web',
        namespace: 'shop',
        labels: { app: 'web' },
        ready: true,
        created_at: CREATED,
      },
    ],
    services: [],
    pods: [
      {
        name: 'web-1',
        namespace: 'shop',
        ready: true,
        created_at: CREATED,
        phase: 'Running',
        node_name: 'one',
        containers: 1,
        restarts: 3,
      },
    ],
    metrics: { cpu_usage: 0, memory_usage: 0, pod_count: 1, node_count: 1 },
    timestamp: '2026-01-01T00:00:00.000Z',
  });
});

describe('kubernetesClient()', () => {
  test('gives a refusal its code, status and reason', async () => {
    kubernetes.failWith = 403;
    await expect(clientOf(kubernetes).get('/version', never)).rejects.toMatchObject({
      code: 'KUBERNETES_API',
      details: { status: 403, reason: 'TestFailure' },
      hint: expect.stringContaining('permission'),
    });
  });

  test('refuses a server whose certificate is of another CA', async () => {
    await using other = await startFakeKubernetes();
    const current = async () => ({
      server: kubernetes.url,
      ca: other.ca,
      token: kubernetes.token,
    });
    const client = kubernetesClient({
      http: systemHttp,
      credentials: { current, reload: () => undefined },
    });
    await expect(client.get('/version', never)).rejects.toMatchObject({ code: 'KUBERNETES_API' });
    expect(kubernetes.requests).toEqual([]);
  });

  test('looks for a new token once when the old one is refused', async () => {
    let token = 'an old token';
    const credentials = {
      current: async () => ({ server: kubernetes.url, ca: kubernetes.ca, token }),
      reload: () => {
        token = kubernetes.token;
      },
    };
    const client = kubernetesClient({ http: systemHttp, credentials });
    expect(await client.find('/version', never)).toMatchObject({ gitVersion: 'v1.34.4+k3s1' });
    expect(kubernetes.requests).toEqual(['GET /version', 'GET /version']);
  });

  test('remove() leaves an object of the same name that was made since', async () => {
    kubernetes.put(DEPLOYMENT, { spec: {} });
    const client = clientOf(kubernetes);
    expect(await client.remove(DEPLOYMENT, 'the uid of another', never)).toBe(false);
    expect(kubernetes.object(DEPLOYMENT)).toBeDefined();
    const uid = kubernetes.object(DEPLOYMENT)?.metadata.uid ?? '';
    expect(await client.remove(DEPLOYMENT, uid, never)).toBe(true);
    expect(await client.remove(DEPLOYMENT, uid, never)).toBe(false);
  });

  test('says INTERRUPTED when its caller gives up', async () => {
    const get = clientOf(kubernetes).get('/version', AbortSignal.abort());
    await expect(get).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});
