import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { kubernetesClient } from '../../../src/kubernetes/api/client.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../../support/fake-kubernetes.ts';
import { clientOf } from '../../support/fake-kubernetes-client.ts';

const DEPLOYMENT = '/apis/apps/v1/namespaces/shop/deployments/web';
const never = new AbortController().signal;

let kubernetes: FakeKubernetes;

beforeEach(async () => {
  kubernetes = await startFakeKubernetes();
});
afterEach(async () => await kubernetes[Symbol.asyncDispose]());

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
      clock: systemClock,
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
    const client = kubernetesClient({ clock: systemClock, http: systemHttp, credentials });
    expect(await client.find('/version', never)).toMatchObject({ gitVersion: 'v1.36.3+k3s1' });
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
