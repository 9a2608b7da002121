import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { FINAL_REASON_MS, followRollout } from '../../src/kubernetes/rollout.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { clientOf } from '../support/fake-kubernetes-client.ts';
import { scaledClock } from '../support/scaled-clock.ts';

const DEPLOYMENT = '/apis/apps/v1/namespaces/shop/deployments/web';
const TARGET = { namespace: 'shop', name: 'web' };
const REVISION = 'deployment.kubernetes.io/revision';
const never = new AbortController().signal;

let kubernetes: FakeKubernetes;
let told: string[];

beforeEach(async () => {
  kubernetes = await startFakeKubernetes();
  kubernetes.rollouts = 'stuck';
  told = [];
});
afterEach(async () => await kubernetes[Symbol.asyncDispose]());

const follow = (waitMs: number, clock = systemClock) =>
  followRollout({ clock, client: clientOf(kubernetes) }, TARGET, {
    waitMs,
    onReady: ({ ready, wanted }) => void told.push(`${ready} of ${wanted}`),
    onReason: (reason) => void told.push(reason),
    signal: never,
  });

/** A Deployment at revision 2, with the ReplicaSets of both revisions. */
function putDeployment(replicas: number, status: Record<string, unknown> = {}): void {
  kubernetes.put(DEPLOYMENT, {
    metadata: { namespace: 'shop', annotations: { [REVISION]: '2' } },
    spec: { replicas },
    status,
  });
  const uid = kubernetes.object(DEPLOYMENT)?.metadata.uid;
  for (const revision of ['1', '2']) {
    kubernetes.put(`/apis/apps/v1/namespaces/shop/replicasets/web-${revision}`, {
      metadata: { annotations: { [REVISION]: revision }, ownerReferences: [{ uid }] },
      spec: { selector: { matchLabels: { 'pod-template-hash': revision } } },
    });
  }
}

function putPod(name: string, status: Record<string, unknown>): void {
  kubernetes.put(`/api/v1/namespaces/shop/pods/${name}`, {
    metadata: { name, namespace: 'shop' },
    status,
  });
}

const waiting = (reason: string, message?: string) => ({
  containerStatuses: [
    { name: 'web', image: 'web:1', restartCount: 0, state: { waiting: { reason, message } } },
  ],
});

describe('followRollout()', () => {
  test('looks once when it shall not wait, and says why pods are not ready', async () => {
    putDeployment(7);
    putPod('a', {
      conditions: [{ type: 'PodScheduled', status: 'False', message: 'no node has 64 CPUs' }],
    });
    putPod('b', {
      containerStatuses: [
        {
          name: 'web',
          restartCount: 4,
          state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } },
          lastState: { terminated: { exitCode: 3 } },
        },
      ],
    });
    putPod('c', {
      containerStatuses: [
        {
          name: 'web',
          restartCount: 1,
          state: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
        },
      ],
    });
    putPod('d', { conditions: [{ type: 'Ready', status: 'True' }] });
    putPod('e', waiting('ContainerCreating'));
    putPod('f', waiting('ImagePullBackOff', 'Back-off: no route to host'));
    putPod('g', waiting('CreateContainerConfigError', 'secret "key" not found'));
    expect(await follow(0)).toEqual({
      revision: 2,
      wanted: 7,
      ready: 0,
      complete: false,
      failed: false,
      reasons: [
        'unschedulable: no node has 64 CPUs',
        'crash_loop: container "web" ended with exit code 3, 4 restarts',
        'out_of_memory: container "web" used more memory than its limit, 1 restarts',
        'image_pull: image "web:1": ImagePullBackOff: Back-off: no route to host',
        'configuration: container "web": CreateContainerConfigError: secret "key" not found',
      ],
    });
  });

  test('says of which kind the refusal of pods is', async () => {
    const condition = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate' };
    const refuse = (message: string) =>
      putDeployment(1, { conditions: [{ ...condition, message }] });
    refuse('pods "web-1" is forbidden: exceeded quota: small');
    expect((await follow(0)).reasons).toEqual([
      'quota: pods "web-1" is forbidden: exceeded quota: small',
    ]);
    refuse('admission webhook "guard" denied the request');
    expect((await follow(0)).reasons).toEqual([
      'pod_refused: admission webhook "guard" denied the request',
    ]);
  });

  test('takes what a probe and a mount say from the events of a pod', async () => {
    putDeployment(1);
    putPod('a', { conditions: [{ type: 'Ready', status: 'False' }] });
    const event = (name: string, reason: string, message: string) =>
      kubernetes.put(`/api/v1/namespaces/shop/events/${name}`, { reason, message });
    event('a', 'Unhealthy', 'Readiness probe failed: refused');
    event('b', 'FailedMount', 'configmap "x" not found');
    event('c', 'BackOff', 'said better elsewhere');
    expect((await follow(0)).reasons).toEqual([
      'probe_failed: Readiness probe failed: refused',
      'event: FailedMount: configmap "x" not found',
    ]);
  });

  test('hides what looks like a token', async () => {
    putDeployment(1);
    putPod('a', waiting('ErrImagePull', 'got "Authorization: Bearer abcdefgh12345678"'));
    expect((await follow(0)).reasons.join()).not.toContain('abcdefgh12345678');
  });

  test('ends in its time although nothing changes, and tells the first state', async () => {
    putDeployment(1);
    expect(await follow(300)).toMatchObject({ complete: false, failed: false, reasons: [] });
    expect(told).toEqual(['0 of 1']);
  });

  test('ends when Kubernetes gives it up', async () => {
    putDeployment(1, {
      observedGeneration: 1,
      conditions: [{ type: 'Progressing', reason: 'ProgressDeadlineExceeded' }],
    });
    expect(await follow(60_000)).toMatchObject({ complete: false, failed: true });
  });

  test('ends early for an image that is not there, but not for a registry that is away', async () => {
    putDeployment(1);
    putPod('a', waiting('ErrImagePull', 'web:1: not found'));
    const clock = scaledClock(50);
    const startedAt = clock.monotonic();
    await follow(3_600_000, clock);
    expect(clock.monotonic() - startedAt).toBeGreaterThanOrEqual(FINAL_REASON_MS);
    expect(told).toEqual(['0 of 1', 'image_pull: image "web:1": ErrImagePull: web:1: not found']);

    putPod('a', waiting('ErrImagePull', 'lookup registry: no such host'));
    const again = clock.monotonic();
    await follow(3 * FINAL_REASON_MS, clock);
    expect(clock.monotonic() - again).toBeGreaterThanOrEqual(3 * FINAL_REASON_MS);
  });

  test('fails with NOT_FOUND when there is no such Deployment', async () => {
    await expect(follow(60_000)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
