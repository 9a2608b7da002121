/** What commands about applications do after a crash and at a cancel, and what they leave alone. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { findHandler } from '../../../src/commands/engine/find-handler.ts';
import type { CommandContext } from '../../../src/commands/engine/handler.ts';
import { COMMAND_HANDLERS } from '../../../src/commands/registry.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { workElsewhere } from '../../../src/platform/worker.ts';
import { type AccessRequest, ALLOWED, refused } from '../../../src/policy/decision.ts';
import { failureOf } from '../../support/failure-of.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../../support/fake-kubernetes.ts';
import { clientOf } from '../../support/fake-kubernetes-client.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { scaledClock } from '../../support/scaled-clock.ts';
import { until } from '../../support/until.ts';
import { unusedCommandDeps } from '../../support/unused-command-deps.ts';

const TARGET = { name: 'web', namespace: 'shop' };
const DEPLOYMENT = '/apis/apps/v1/namespaces/shop/deployments/web';
const SERVICE = '/api/v1/namespaces/shop/services/web';
const INGRESS = '/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web';
const REPLICA_SETS = '/apis/apps/v1/namespaces/shop/replicasets';
const CONFIG_MAPS = '/api/v1/namespaces/shop/configmaps';
const MANAGED = { labels: { 'app.kubernetes.io/managed-by': 'pipeops-agent' } };

let kubernetes: FakeKubernetes;
let checkpoints: unknown[];
let progress: string[];
let context: CommandContext;

beforeEach(async () => {
  kubernetes = await startFakeKubernetes();
  kubernetes.put('/api/v1/namespaces/shop', {});
  checkpoints = [];
  progress = [];
  context = {
    clock: systemClock,
    kubernetes: clientOf(kubernetes),
    openChannels: () => Promise.reject(new Error('not used here')),
    askHelper: () => Promise.reject(new Error('not used here')),
    ownToken: unusedCommandDeps().ownToken,
    newestK3s: unusedCommandDeps().newestK3s,
    releases: { find: () => Promise.reject(new Error('not used here')) },
    node: 'node-1',
    clusterStatus: () => Promise.reject(new Error('not used here')),
    workElsewhere,
    policy: {
      command: () => ALLOWED,
      isAsked: () => false,
      windowsAhead: () => undefined,
      access: () => ALLOWED,
      object: () => ALLOWED,
      request: () => ALLOWED,
    },
    commandId: 'command-1',
    signal: new AbortController().signal,
    log: memoryLog(),
    stopping: new AbortController().signal,
    checkpoint: undefined,
    setCheckpoint: async (value) => void checkpoints.push(value),
    progress: (message) => void progress.push(message),
  };
});
afterEach(async () => await kubernetes[Symbol.asyncDispose]());

const run = (type: string, payload: object, more: Partial<CommandContext> = {}) =>
  findHandler(COMMAND_HANDLERS, type)
    .prepare(payload)
    .run({ ...context, ...more });

const writes = () => kubernetes.requests.filter((request) => !request.startsWith('GET '));

/** Gives the Deployment one pod template after the other: the last one is current. */
function putHistory(images: readonly string[]): void {
  for (const image of images) {
    kubernetes.put(DEPLOYMENT, {
      metadata: { ...MANAGED, namespace: 'shop' },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'web', image }] },
        },
      },
    });
  }
}

const imageNow = () =>
  JSON.stringify(kubernetes.object(DEPLOYMENT)?.spec).match(/"image":"([^"]*)"/)?.[1];

describe('rollback', () => {
  test('notes its target before the first effect', async () => {
    putHistory(['one', 'two', 'three']);
    expect((await run('rollback', TARGET)).data).toMatchObject({
      revision: 4,
      rolled_back_to: 2,
      image: 'two',
    });
    const uid = kubernetes.object(`${REPLICA_SETS}/web-2`)?.metadata.uid;
    expect(checkpoints).toEqual([{ replica_set_uid: uid, revision: 2 }]);
    expect(imageNow()).toBe('two');
  });

  test('goes to the target noted, whatever "the one before" means by now', async () => {
    putHistory(['one', 'two', 'three', 'four']);
    const uid = kubernetes.object(`${REPLICA_SETS}/web-1`)?.metadata.uid;
    const checkpoint = { replica_set_uid: uid, revision: 1 };
    expect((await run('rollback', TARGET, { checkpoint })).data).toMatchObject({ image: 'one' });
    // Run again after it had its effect, it is a success all the same.
    expect((await run('rollback', TARGET, { checkpoint })).failure).toBeUndefined();
    // As a newer version would note it.
    checkpoints = [];
    await run('rollback', TARGET, { checkpoint: { ...checkpoint, digest: 'sha256:1' } });
    expect(checkpoints).toEqual([{ ...checkpoint, digest: 'sha256:1' }]);
  });

  test.each([{ replica_set: 'web-1' }, 'web-1', null])(
    'does not choose anew where the notes of another version cannot be read: %j',
    async (checkpoint) => {
      putHistory(['one', 'two']);
      const failure = await failureOf(() => run('rollback', TARGET, { checkpoint }));
      expect([failure.code, writes()]).toEqual(['COMMAND_OUTCOME_UNKNOWN', []]);
    },
  );

  test('says which revisions there are when there is none before', async () => {
    putHistory(['one']);
    const failure = await failureOf(() => run('rollback', TARGET));
    expect(failure).toMatchObject({ code: 'NOT_FOUND', details: { revisions: [1] } });
    expect(writes()).toEqual([]);
  });

  test('goes back from what is deployed now while the controller lags', async () => {
    putHistory(['A', 'B']);
    kubernetes.rollouts = 'lagging';
    putHistory(['C']);
    const clock = scaledClock(100);
    const outcome = await run('rollback', { ...TARGET, wait_seconds: 3 }, { clock });
    expect(imageNow()).toBe('B');
    expect(outcome.failure).toMatchObject({ code: 'ROLLOUT_FAILED' });
    expect(outcome.data).toMatchObject({
      revision: 0,
      rolled_back_to: 2,
      image: 'B',
      replicas_ready: 1,
      reasons: [expect.stringMatching(/^not_observed: /)],
    });
    expect(progress).toContain('shop/web: its controller lags, the pod template decides');
  });

  test('waits for a controller that comes back', async () => {
    putHistory(['A', 'B']);
    kubernetes.rollouts = 'lagging';
    putHistory(['C']);
    const outcome = run('rollback', TARGET);
    await until('it looks for the controller', () =>
      kubernetes.requests.includes(`GET ${REPLICA_SETS}`),
    );
    kubernetes.rollouts = 'ready';
    kubernetes.finishRollouts();
    expect((await outcome).data).toMatchObject({ revision: 4, rolled_back_to: 2, image: 'B' });
    expect(imageNow()).toBe('B');
  });

  test('knows which one runs by its template, whatever number it has', async () => {
    putHistory(['A', 'B', 'A']);
    expect((await run('rollback', TARGET)).data).toMatchObject({ rolled_back_to: 2, image: 'B' });
    expect((await run('rollback', TARGET)).data).toMatchObject({ rolled_back_to: 3, image: 'A' });
  });

  test('to what runs already is refused, not called done', async () => {
    putHistory(['one', 'two']);
    const failure = await failureOf(() => run('rollback', { ...TARGET, revision: 2 }));
    expect(failure).toMatchObject({ code: 'COMMAND_INVALID', details: { revisions: [2, 1] } });
    expect(writes()).toEqual([]);
  });

  test('that something turns back is a failure', async () => {
    putHistory(['one', 'two']);
    const template = kubernetes.object(DEPLOYMENT)?.spec?.['template'];
    kubernetes.admit = (path, object) =>
      path === DEPLOYMENT ? { ...object, spec: { ...Object(object['spec']), template } } : object;
    const failure = await failureOf(() => run('rollback', TARGET));
    expect(failure).toMatchObject({ code: 'ROLLOUT_FAILED' });
    expect(failure.message).toContain('is as it was');
  });

  test('that does not wait tells the new revision, not the old one', async () => {
    putHistory(['one', 'two']);
    const outcome = await run('rollback', { ...TARGET, wait_seconds: 0 });
    expect(outcome.data).toMatchObject({ revision: 3, rolled_back_to: 1, image: 'one' });
  });
});

describe('delete', () => {
  test('takes what the agent made, what leads to the pods first', async () => {
    putHistory(['one']);
    kubernetes.put(SERVICE, { metadata: MANAGED });
    expect((await run('delete', TARGET)).data).toEqual({
      deleted: ['Service/web', 'Deployment/web'],
    });
    expect(writes()).toEqual([`DELETE ${SERVICE}`, `DELETE ${DEPLOYMENT}`]);
  });

  test('says that there was nothing to delete', async () => {
    const { output, data } = await run('delete', TARGET);
    expect({ output, data }).toEqual({
      output: 'shop: there is no "web", nothing was deleted\n',
      data: { deleted: [] },
    });
  });

  test('leaves the Service of somebody else, and what was made since it was noted', async () => {
    putHistory(['one']);
    kubernetes.put(SERVICE, {});
    await run('delete', TARGET);
    const checkpoint = checkpoints[0];
    expect(kubernetes.object(SERVICE)).toBeDefined();
    putHistory(['made since']);
    await run('delete', TARGET, { checkpoint });
    expect(imageNow()).toBe('made since');
  });
});

describe('deploy', () => {
  const broken = { ...TARGET, image: 'new', wait_seconds: 0.2, rollback_on_failure: true };
  const whole = {
    ...TARGET,
    image: 'one',
    replicas: 2,
    ports: [{ container_port: 80 }],
    environment: { A: '1' },
    labels: { tier: 'front' },
    annotations: { note: 'x' },
    resources: { limits: { memory: '1Gi' } },
    command: ['web'],
    args: ['--fast'],
    probes: { readiness: { tcp: { port: 80 } } },
    image_pull_secret: 'key',
    domains: ['shop.example'],
  };

  /** What is there, without what the server keeps. */
  const shown = (path: string) => {
    const { metadata, spec } = kubernetes.object(path) ?? {};
    const { uid, labels, annotations } = { ...metadata } as Record<string, unknown>;
    const { 'pipeops.io/command-id': _, ...notes } = Object(annotations);
    const { 'deployment.kubernetes.io/revision': __, ...kept } = notes;
    return { uid, labels, annotations: kept, spec: structuredClone(spec) };
  };
  const everything = () => [DEPLOYMENT, SERVICE, INGRESS].map(shown);

  test('leaves as it is what is not given', async () => {
    await run('deploy', whole);
    await run('scale', { ...TARGET, replicas: 3 });
    const before = everything();
    expect((await run('deploy', { ...TARGET, image: 'one' })).data).toMatchObject({
      replicas_wanted: 3,
      replicas_ready: 3,
      service_address: '10.43.0.7:80',
    });
    expect(everything()).toEqual(before);
    await run('deploy', { ...TARGET, image: 'two' });
    expect(JSON.stringify(everything())).toBe(
      JSON.stringify(before).replace('"image":"one"', '"image":"two"'),
    );
  });

  test('takes away what is given as empty', async () => {
    await run('deploy', whole);
    const nothing = { environment: {}, labels: {}, annotations: {}, resources: {}, probes: {} };
    const none = { command: [], args: [], image_pull_secret: null, domains: [] };
    await run('deploy', { ...TARGET, image: 'one', ...nothing, ...none });
    const labels = { 'app.kubernetes.io/managed-by': 'pipeops-agent', app: 'web' };
    expect(shown(DEPLOYMENT)).toMatchObject({ labels, annotations: {} });
    expect(shown(DEPLOYMENT).spec).toEqual({
      replicas: 2,
      minReadySeconds: 3,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            { name: 'web', image: 'one', ports: [{ containerPort: 80, protocol: 'TCP' }] },
          ],
        },
      },
    });
    expect(shown(SERVICE).labels).toEqual(labels);
    expect(kubernetes.object(INGRESS)).toBeUndefined();
  });

  test('leaves the number of replicas of a new application to Kubernetes', async () => {
    const { data } = await run('deploy', { ...TARGET, image: 'one' });
    expect(data).toMatchObject({ replicas_wanted: 1, replicas_ready: 1 });
    expect(kubernetes.object(DEPLOYMENT)?.spec).not.toHaveProperty('replicas');
  });

  test('takes a Deployment of somebody else over, by its own selector and container', async () => {
    const labels = { part: 'web' };
    const containers = [{ name: 'main', image: 'theirs', env: [{ name: 'A', value: '1' }] }];
    kubernetes.put(DEPLOYMENT, {
      metadata: { namespace: 'shop' },
      spec: { replicas: 2, selector: { matchLabels: labels }, template: { spec: { containers } } },
    });
    await run('deploy', { ...TARGET, image: 'ours', ports: [{ container_port: 80 }] });
    expect(kubernetes.object(DEPLOYMENT)?.spec).toMatchObject({
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels: { ...labels, ...MANAGED.labels } } },
    });
    expect(kubernetes.object(SERVICE)?.spec).toMatchObject({ selector: labels });
    expect(JSON.stringify(kubernetes.object(DEPLOYMENT)?.spec)).toContain(
      '"containers":[{"name":"main","image":"ours"',
    );
  });

  test('waits for the end of a namespace and of a Service that are being deleted', async () => {
    const namespace = '/api/v1/namespaces/shop';
    for (const path of [namespace, SERVICE]) {
      const metadata = { deletionTimestamp: '2026-01-01T00:00:00Z' };
      kubernetes.put(path, { metadata });
      const from = kubernetes.requests.length;
      const asked = () => kubernetes.requests.slice(from).filter((each) => each === `GET ${path}`);
      const deployed = run('deploy', { ...TARGET, image: 'one', ports: [{ container_port: 80 }] });
      await until('it is asked for again', () => asked().length > 1);
      const { uid } = { ...kubernetes.object(path)?.metadata };
      await context.kubernetes.remove(path, uid ?? '', context.signal);
      expect((await deployed).failure).toBeUndefined();
      expect(kubernetes.object(path)?.metadata).not.toHaveProperty('deletionTimestamp');
    }
  });

  test.each(['shop', 'fresh'])(
    'makes nothing of what Kubernetes refuses in part, in %s',
    async (namespace) => {
      kubernetes.invalid = '/services';
      const payload = { name: '3scale', namespace, image: 'one', ports: [{ container_port: 80 }] };
      expect(await failureOf(() => run('deploy', payload))).toMatchObject({
        code: 'COMMAND_INVALID',
        message: expect.stringContaining('Invalid'),
      });
      const apps = `/apis/apps/v1/namespaces/${namespace}/deployments/3scale`;
      expect([kubernetes.object(apps), kubernetes.object('/api/v1/namespaces/fresh')]).toEqual([
        undefined,
        undefined,
      ]);
      expect(checkpoints).toEqual([]);
    },
  );

  test('refuses domains without a port to lead to before anything is made', async () => {
    const payload = { name: 'web', namespace: 'fresh', image: 'one', domains: ['a.example'] };
    expect(await failureOf(() => run('deploy', payload))).toMatchObject({
      code: 'COMMAND_INVALID',
      details: { problems: ['domains: need a port to lead to'] },
    });
    expect(writes()).toEqual([]);
  });

  test('notes what was there before its first effect, and goes back to it', async () => {
    putHistory(['one', 'two']);
    kubernetes.rollouts = 'stuck';
    const outcome = await run('deploy', broken);
    expect(outcome.failure?.code).toBe('ROLLOUT_FAILED');
    expect(outcome.data['rolled_back']).toMatchObject({ to: 'earlier_revision' });
    const uid = kubernetes.object(DEPLOYMENT)?.metadata.uid;
    expect(checkpoints[0]).toMatchObject({ before: { deployment: { uid }, service: null } });
    expect(checkpoints[1]).toMatchObject({ failed: { replicas_wanted: 1 } });
    expect(imageNow()).toBe('two');
  });

  test('goes back to what was deployed, numbered or not', async () => {
    putHistory(['A']);
    kubernetes.rollouts = 'lagging';
    putHistory(['B']);
    await run('deploy', broken);
    expect(imageNow()).toBe('B');
  });

  test('goes back to the same objects, not to copies of them', async () => {
    await run('deploy', whole);
    const before = everything();
    kubernetes.rollouts = 'stuck';
    const wishes = { ports: [], domains: [], replicas: 5, labels: { tier: 'back' } };
    const outcome = await run('deploy', { ...broken, ...wishes }, { commandId: 'command-2' });
    expect(outcome.data['rolled_back']).toMatchObject({ to: 'earlier_revision' });
    expect(everything()).toEqual(before);
    expect(kubernetes.requests.filter((each) => each.startsWith('DELETE '))).toEqual([]);
    await run('deploy', { ...broken, ports: [{ container_port: 9 }] }, { commandId: 'command-3' });
    expect(everything()).toEqual(before);
  });

  test('takes nothing away before its rollout has succeeded', async () => {
    await run('deploy', whole);
    kubernetes.rollouts = 'stuck';
    const without = { ...TARGET, image: 'new', ports: [] };
    const failed = await run('deploy', { ...without, wait_seconds: 0.2 });
    expect(failed.failure?.code).toBe('ROLLOUT_FAILED');
    expect([SERVICE, INGRESS].map((path) => kubernetes.object(path)?.metadata.name)).toEqual([
      'web',
      'web',
    ]);
    kubernetes.rollouts = 'ready';
    await run('deploy', without);
    expect([SERVICE, INGRESS].map((path) => kubernetes.object(path))).toEqual([
      undefined,
      undefined,
    ]);
  });

  test('leaves what others have changed meanwhile, going back', async () => {
    putHistory(['one']);
    kubernetes.put(SERVICE, { metadata: MANAGED, spec: { ports: [{ port: 80 }] } });
    kubernetes.rollouts = 'stuck';
    const theirs = async (value: unknown) => {
      checkpoints.push(value);
      kubernetes.put(SERVICE, { spec: { type: 'NodePort' } });
    };
    await run('deploy', broken, { setCheckpoint: theirs });
    expect(kubernetes.object(SERVICE)?.spec).toMatchObject({ type: 'NodePort' });
  });

  test('goes on with going back after a crash, and does not try again', async () => {
    putHistory(['one', 'two']);
    kubernetes.rollouts = 'stuck';
    await run('deploy', broken);
    const { before } = Object(checkpoints[0]);
    kubernetes.rollouts = 'ready';
    kubernetes.put(DEPLOYMENT, {
      metadata: { annotations: { 'pipeops.io/command-id': 'command-1' } },
      spec: { template: { spec: { containers: [{ name: 'web', image: 'new' }] } } },
    });
    const failed = { revision: 3, replicas_wanted: 1, replicas_ready: 0, reasons: ['quota: full'] };
    const earlier = writes().length;
    const outcome = await run('deploy', broken, { checkpoint: { before, failed } });
    expect(outcome.failure?.message).toContain('quota: full');
    expect(outcome.data).toMatchObject({
      reasons: ['quota: full'],
      rolled_back: { to: 'earlier_revision', complete: true },
    });
    expect(imageNow()).toBe('two');
    // The object, then who owns its fields; the image that failed is not applied again.
    expect(writes().slice(earlier)).toEqual([`PUT ${DEPLOYMENT}`, `PATCH ${DEPLOYMENT}`]);
  });

  describe('that fails half-way', () => {
    const changes = { labels: { tier: 'back' }, domains: ['other.example'], replicas: 5 };
    const changed = { ...broken, ...changes, ports: [{ container_port: 9 }] };
    const atIngress = (answer: number) => (method: string, path: string, dryRun: boolean) =>
      method === 'PATCH' && path === INGRESS && !dryRun ? answer : undefined;
    const again = { commandId: 'command-2' };

    test.each([403, 409, 500, 503])(
      'by %d of the last object goes back to what was there',
      async (answer) => {
        await run('deploy', whole);
        const before = everything();
        kubernetes.refuse = atIngress(answer);
        const { failure, data } = await run('deploy', changed, again);
        expect({ code: failure?.code, rolledBack: data['rolled_back'] }).toEqual({
          code: 'KUBERNETES_API',
          rolledBack: {
            ...{ to: 'earlier_revision', complete: true },
            ...{ put_back: ['Service/web', 'Deployment/web'], not_put_back: [] },
          },
        });
        expect(failure?.message).toContain(`PATCH ${INGRESS}`);
        expect(everything()).toEqual(before);
        expect(checkpoints[1]).toMatchObject({ failed: { error: { code: 'KUBERNETES_API' } } });
      },
    );

    test('removes what is new where nothing was', async () => {
      kubernetes.refuse = (method, path, dryRun) =>
        method === 'PATCH' && path === SERVICE && !dryRun ? 403 : undefined;
      const { data } = await run('deploy', { ...whole, ...broken });
      expect(data['rolled_back']).toEqual({
        ...{ to: 'nothing', complete: true },
        ...{ put_back: ['Deployment/web'], not_put_back: [] },
      });
      expect(kubernetes.object(DEPLOYMENT)).toBeUndefined();
    });

    test('at its first object changes nothing, and says so', async () => {
      await run('deploy', whole);
      const before = writes().length;
      kubernetes.refuse = (method, path, dryRun) =>
        method === 'PATCH' && path === DEPLOYMENT && !dryRun ? 403 : undefined;
      const failure = await failureOf(() => run('deploy', changed, again));
      expect(failure.code).toBe('KUBERNETES_API');
      expect(
        writes()
          .slice(before)
          .filter((each) => !each.startsWith('PATCH')),
      ).toEqual([]);
    });

    test('waits for an API server that is gone, and then goes back', async () => {
      await run('deploy', whole);
      const before = everything();
      let answers = 0;
      kubernetes.refuse = (method, path, dryRun) => {
        answers += answers > 0 || (method === 'PATCH' && path === SERVICE && !dryRun) ? 1 : 0;
        return answers > 0 && answers < 10 ? 503 : undefined;
      };
      const clock = scaledClock(50);
      const { data } = await run('deploy', changed, { ...again, clock });
      expect(data['rolled_back']).toMatchObject({ complete: true, not_put_back: [] });
      expect(everything()).toEqual(before);
    });

    test('tells what it could not put back, and puts back the rest', async () => {
      await run('deploy', whole);
      const before = everything();
      kubernetes.refuse = (method, path, dryRun) =>
        atIngress(403)(method, path, dryRun) ??
        (method === 'PUT' && path === SERVICE ? 403 : undefined);
      const { data, output, failure } = await run('deploy', changed, again);
      expect(data['rolled_back']).toEqual({
        ...{ to: 'earlier_revision', complete: false, put_back: ['Deployment/web'] },
        not_put_back: [
          {
            object: 'Service/web',
            code: 'KUBERNETES_API',
            reason: expect.stringContaining(`PUT ${SERVICE}`),
          },
        ],
      });
      expect(output).toContain('could not be put back: Service/web');
      expect(failure?.code).toBe('KUBERNETES_API');
      const [deployment, service, ingress] = everything();
      expect([deployment, ingress]).toEqual([before[0], before[2]]);
      expect(service).not.toEqual(before[1]);
    });

    test('by a cancel goes back, too, and does not wait for the pods of before', async () => {
      await run('deploy', whole);
      const before = everything();
      kubernetes.rollouts = 'stuck';
      const cancel = new AbortController();
      const { failure, data } = await run(
        'deploy',
        { ...changed, wait_seconds: 60 },
        { ...again, signal: cancel.signal, progress: () => cancel.abort() },
      );
      expect(failure?.code).toBe('COMMAND_CANCELLED');
      expect(data['rolled_back']).toEqual({
        ...{ to: 'earlier_revision', complete: false },
        ...{ put_back: ['Ingress/web', 'Service/web', 'Deployment/web'], not_put_back: [] },
      });
      expect(everything()).toEqual(before);
    });

    test('by the stop of the agent goes on at its next start', async () => {
      await run('deploy', whole);
      kubernetes.rollouts = 'stuck';
      const stop = new AbortController();
      const stops = { signal: stop.signal, stopping: stop.signal, progress: () => stop.abort() };
      const failure = await failureOf(() =>
        run('deploy', { ...changed, wait_seconds: 60 }, { ...again, ...stops }),
      );
      expect(failure.code).toBe('COMMAND_CANCELLED');
      expect(imageNow()).toBe('new');
      expect(checkpoints).toHaveLength(1);
    });

    test('and was noted so goes on with going back, and tells the error of then', async () => {
      await run('deploy', whole);
      const before = everything();
      kubernetes.refuse = atIngress(403);
      await run('deploy', changed, again);
      const { failure, data } = await run('deploy', changed, {
        ...again,
        checkpoint: checkpoints[1],
      });
      expect(failure?.code).toBe('KUBERNETES_API');
      expect(data['rolled_back']).toMatchObject({ complete: true, not_put_back: [] });
      expect(everything()).toEqual(before);
    });
  });

  test('without ports takes its own Service away, but not that of somebody else', async () => {
    const payload = { ...TARGET, image: 'one' };
    await run('deploy', { ...payload, ports: [{ container_port: 80 }] });
    expect(kubernetes.object(SERVICE)).toBeDefined();
    await run('deploy', { ...payload, ports: [] });
    expect(kubernetes.object(SERVICE)).toBeUndefined();
    kubernetes.put(SERVICE, {});
    await run('deploy', { ...payload, ports: [] });
    expect(kubernetes.object(SERVICE)).toBeDefined();
  });

  test('that is cancelled says how far its rollout came', async () => {
    kubernetes.rollouts = 'stuck';
    const stop = new AbortController();
    const failure = await failureOf(() =>
      run(
        'deploy',
        { ...TARGET, image: 'one', wait_seconds: 60 },
        {
          signal: stop.signal,
          progress: () => stop.abort(),
        },
      ),
    );
    expect(failure).toMatchObject({
      code: 'COMMAND_CANCELLED',
      details: { replicas_ready: 0, replicas_wanted: 1 },
    });
  });
});

describe('apply', () => {
  const configMap = (name: string, namespace = 'shop') =>
    `{apiVersion: v1, kind: ConfigMap, metadata: {name: ${name}, namespace: ${namespace}}}`;
  const manifest = [configMap('a'), configMap('b'), configMap('c')].join('\n---\n');

  beforeEach(() => {
    kubernetes.put('/api/v1', {
      resources: [
        { name: 'configmaps', kind: 'ConfigMap', namespaced: true },
        { name: 'configmaps/status', kind: 'ConfigMap', namespaced: true },
      ],
    });
  });

  test('asks the policy for every object before the first effect', async () => {
    const asked: string[] = [];
    const failure = await failureOf(() =>
      run(
        'apply',
        { manifest },
        {
          policy: {
            ...context.policy,
            access: ({ verb, resource, namespace, name }) => {
              asked.push(`${verb} ${namespace}/${resource}/${name}`);
              return name === 'c' ? refused('test/no-c', 'c is refused') : ALLOWED;
            },
          },
        },
      ),
    );
    expect(failure).toMatchObject({ code: 'POLICY_DENIED', details: { rule: 'test/no-c' } });
    expect(asked).toEqual([
      'create shop/configmaps/a',
      'patch shop/configmaps/a',
      'create shop/configmaps/b',
      'patch shop/configmaps/b',
      'create shop/configmaps/c',
    ]);
    expect(writes()).toEqual([]);
  });

  test('asks the policy for what an object holds, too', async () => {
    const object = () => refused('test/privileged', 'no');
    const policy = { ...context.policy, object };
    const failure = await failureOf(() => run('apply', { manifest }, { policy }));
    expect(failure.details).toEqual({ rule: 'test/privileged' });
    expect(writes()).toEqual([]);
  });

  test('writes owners and finalizers only of what may be deleted', async () => {
    const owned = (metadata: object) =>
      JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', ...metadata } });
    const access = ({ verb }: AccessRequest) =>
      verb === 'delete' ? refused('test/no-delete', 'no') : ALLOWED;
    const policy = { ...context.policy, access };
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'gone', uid: 'nobody-has-this' };
    const rules = [];
    for (const metadata of [{ ownerReferences: [owner] }, { finalizers: ['example.com/x'] }]) {
      const apply = () => run('apply', { manifest: owned(metadata) }, { policy });
      rules.push((await failureOf(apply)).details);
    }
    expect(rules).toEqual([{ rule: 'test/no-delete' }, { rule: 'test/no-delete' }]);
    expect(writes()).toEqual([]);
    await run('apply', { manifest: owned({}) }, { policy });
    expect(writes()).not.toEqual([]);
  });

  test('that is cancelled says how far it came', async () => {
    const stop = new AbortController();
    const failure = await failureOf(() =>
      run('apply', { manifest }, { signal: stop.signal, progress: () => stop.abort() }),
    );
    expect(failure).toMatchObject({
      code: 'COMMAND_CANCELLED',
      message: 'Stopped after 1 of 3 objects',
      details: {
        objects: [{ kind: 'ConfigMap', namespace: 'shop', name: 'a', result: 'created' }],
      },
    });
    expect(writes()).toEqual([`PATCH ${CONFIG_MAPS}/a`]);
  });

  test('that is run again after a crash does not call its own work unchanged', async () => {
    const first = await run('apply', { manifest: configMap('a') });
    expect(checkpoints).toEqual([{ begun: true }]);
    const [checkpoint] = checkpoints;
    const again = await run('apply', { manifest }, { checkpoint });
    const anew = await run('apply', { manifest });
    const label = { kind: 'ConfigMap', namespace: 'shop' };
    const message = 'now; this command may have applied it before the agent was restarted';
    expect([first, again, anew].map(({ data }) => data['objects'])).toEqual([
      [{ ...label, name: 'a', result: 'created' }],
      [
        { ...label, name: 'a', result: 'unchanged', message },
        { ...label, name: 'b', result: 'created' },
        { ...label, name: 'c', result: 'created' },
      ],
      ['a', 'b', 'c'].map((name) => ({ ...label, name, result: 'unchanged' })),
    ]);
    await run('apply', { manifest, dry_run: true });
    expect(checkpoints).toHaveLength(2);
  });

  test('does not prune when an object failed', async () => {
    const own = [{ manager: 'pipeops-agent', operation: 'Apply', fieldsV1: {} }];
    kubernetes.put(`${CONFIG_MAPS}/old`, { metadata: { managedFields: own } });
    const unknown = '{apiVersion: v1, kind: Unknown, metadata: {name: x}}';
    const wish = { prune_label: 'part=shop' };
    const failed = await run('apply', { manifest: `${manifest}\n---\n${unknown}`, ...wish });
    expect(failed.failure?.code).toBe('APPLY_FAILED');
    expect(kubernetes.object(`${CONFIG_MAPS}/old`)).toBeDefined();
    await run('apply', { manifest, ...wish });
    expect(kubernetes.object(`${CONFIG_MAPS}/old`)).toBeUndefined();
    expect(kubernetes.object(`${CONFIG_MAPS}/a`)).toBeDefined();
  });
});

test('get_resources says what did not fit into a message', async () => {
  const note = 'x'.repeat(1024 * 1024);
  for (const name of ['a', 'b', 'c']) {
    kubernetes.put(`/api/v1/namespaces/shop/pods/${name}`, { metadata: { annotations: { note } } });
  }
  const { data, output } = await run('get_resources', { kinds: ['pods', 'services'] });
  expect(output).toBe('2 pods and more, 0 services\n');
  expect(data['truncated_kinds']).toEqual(['pods']);
});

test('get_resources without kinds gives the cluster as it is reported, usage included', async () => {
  const metrics = { cpu_usage: 12.5, memory_usage: 40, pod_count: 3, node_count: 1 };
  const status = {
    nodes: null,
    namespaces: ['shop'],
    deployments: [],
    services: [],
    pods: [],
    metrics,
    timestamp: '2026-01-01T00:00:00.000Z',
  };
  const { data, output } = await run('get_resources', {}, { clusterStatus: async () => status });
  expect({ data, output }).toEqual({ data: status, output: '1 nodes, 3 pods\n' });
  expect(kubernetes.requests).toEqual([]);
});

test('get_resources with a namespace and without kinds gives what is in it, and the nodes', async () => {
  const of = (namespace: string) => ({
    name: 'web',
    namespace,
    ready: true,
    created_at: '2026-01-01T00:00:00.000Z',
  });
  const podOf = (namespace: string) => ({
    ...of(namespace),
    phase: 'Running',
    node_name: 'n',
    containers: 1,
    restarts: 0,
  });
  const metrics = { cpu_usage: 12.5, memory_usage: 40, pod_count: 3, node_count: 1 };
  const status = {
    nodes: [],
    namespaces: ['shop', 'bank'],
    metrics,
    timestamp: '2026-01-01T00:00:00.000Z',
    deployments: [of('shop'), of('bank')],
    services: [of('bank')],
    pods: [podOf('bank'), podOf('shop'), podOf('bank')],
  };
  const { data, output } = await run(
    ...(['get_resources', { namespace: 'shop' }, { clusterStatus: async () => status }] as const),
  );
  expect({ data, output }).toEqual({
    data: {
      ...status,
      namespaces: ['shop'],
      deployments: [of('shop')],
      services: [],
      pods: [podOf('shop')],
      metrics: { ...metrics, pod_count: 1 },
    },
    output: '1 nodes, 1 pods\n',
  });
});
