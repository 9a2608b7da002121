import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { FINAL_REASON_MS, followRollout } from '../../../src/kubernetes/deployments/rollout.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../../support/fake-kubernetes.ts';
import { clientOf } from '../../support/fake-kubernetes-client.ts';
import { scaledClock } from '../../support/scaled-clock.ts';
import { until } from '../../support/until.ts';

const DEPLOYMENT = '/apis/apps/v1/namespaces/shop/deployments/web';
const TARGET = { namespace: 'shop', name: 'web' };
const REVISION = 'deployment.kubernetes.io/revision';
const never = new AbortController().signal;

let kubernetes: FakeKubernetes;
let told: string[];

beforeEach(async () => {
  kubernetes = await startFakeKubernetes();
  kubernetes.rollouts = 'lagging';
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

const LATEST = { observedGeneration: 1_000 };

/** A Deployment at revision 2, with the ReplicaSets of both revisions. */
function putDeployment(replicas: number, status: Record<string, unknown> = {}): void {
  kubernetes.put(DEPLOYMENT, {
    metadata: { namespace: 'shop', annotations: { [REVISION]: '2' } },
    spec: { replicas, template: { spec: { image: '2' } } },
    status: { ...LATEST, ...status },
  });
  putReplicaSet('1');
  putReplicaSet('2');
}

/** `available` pods of the template with this image. */
function putReplicaSet(revision: string, available = 0): void {
  const labels = { 'pod-template-hash': revision };
  kubernetes.put(`/apis/apps/v1/namespaces/shop/replicasets/web-${revision}`, {
    metadata: {
      annotations: { [REVISION]: revision },
      ownerReferences: [{ uid: kubernetes.object(DEPLOYMENT)?.metadata.uid }],
    },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { image: revision } },
    },
    status: { availableReplicas: available },
  });
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

  test('counts the available pods of what shall run, never those of before', async () => {
    const before = { replicas: 3, updatedReplicas: 0, readyReplicas: 3, availableReplicas: 3 };
    putDeployment(3, before);
    putReplicaSet('1', 3);
    expect(await follow(300)).toMatchObject({ ready: 0, wanted: 3, complete: false });
    putReplicaSet('2', 1);
    putDeployment(3, { ...before, replicas: 4, updatedReplicas: 1, readyReplicas: 4 });
    putReplicaSet('2', 1);
    expect(await follow(0)).toMatchObject({ ready: 1, wanted: 3, complete: false });
    putReplicaSet('2', 3);
    kubernetes.put(DEPLOYMENT, {
      status: { replicas: 3, updatedReplicas: 3, availableReplicas: 3 },
    });
    expect(await follow(0)).toMatchObject({ ready: 3, wanted: 3, complete: true, reasons: [] });
    expect(told).toEqual(['0 of 3', '1 of 3', '3 of 3']);
  });

  test('says of nothing that it is done before the controller has seen it', async () => {
    const done = { replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3 };
    putDeployment(3, done);
    putReplicaSet('2', 3);
    kubernetes.put(DEPLOYMENT, { spec: { template: { spec: { image: '3' } } } });
    // The status speaks of what was there before, whatever it says.
    kubernetes.put(DEPLOYMENT, { status: { observedGeneration: 1 } });
    const lag =
      'not_observed: the Deployment controller has not taken this change up ' +
      '(it has seen generation 1, this is 2): kube-controller-manager is busy or down';
    const nothing = { revision: 0, wanted: 3, ready: 0, complete: false, failed: false };
    expect(await follow(0, scaledClock(50))).toEqual({ ...nothing, reasons: [lag] });
    kubernetes.put(DEPLOYMENT, { status: LATEST });
    const none = 'not_observed: its controller has made no ReplicaSet yet';
    expect(await follow(0, scaledClock(50))).toEqual({ ...nothing, reasons: [none] });
  });

  test('waits for the number of the revision, also when it waits for no pod', async () => {
    putDeployment(1);
    kubernetes.put(DEPLOYMENT, { spec: { template: { spec: { image: '3' } } } });
    const asked = () => kubernetes.requests.filter((each) => each.endsWith('/replicasets')).length;
    const following = follow(0);
    await until('it has looked once', () => asked() > 0);
    putReplicaSet('3');
    expect(await following).toMatchObject({ revision: 3, ready: 0 });
  });

  test('ends when Kubernetes gives it up, but not because it had given up before', async () => {
    const givenUp = (lastUpdateTime: string) => ({
      conditions: [{ type: 'Progressing', reason: 'ProgressDeadlineExceeded', lastUpdateTime }],
    });
    putDeployment(1, givenUp('2026-01-01T00:00:00Z'));
    expect(await follow(300)).toMatchObject({ complete: false, failed: false });
    const watches = () =>
      kubernetes.requests.filter((each) => each.endsWith('/deployments')).length;
    const before = watches();
    const following = follow(60_000);
    await until('it watches', () => watches() > before + 1);
    putDeployment(1, givenUp('2026-01-01T00:10:00Z'));
    expect(await following).toMatchObject({ complete: false, failed: true });
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
