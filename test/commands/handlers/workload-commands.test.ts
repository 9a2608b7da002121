/** What commands about applications do after a crash and at a cancel, and what they leave alone. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { CommandContext } from '../../../src/commands/handler.ts';
import { COMMAND_HANDLERS, findHandler } from '../../../src/commands/registry.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { ALLOWED, refused } from '../../../src/policy/policy.ts';
import { failureOf } from '../../support/failure-of.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../../support/fake-kubernetes.ts';
import { clientOf } from '../../support/fake-kubernetes-client.ts';
import { memoryLog } from '../../support/memory-log.ts';

const TARGET = { name: 'web', namespace: 'shop' };
const DEPLOYMENT = '/apis/apps/v1/namespaces/shop/deployments/web';
const SERVICE = '/api/v1/namespaces/shop/services/web';
const CONFIG_MAPS = '/api/v1/namespaces/shop/configmaps';
const REVISION = 'deployment.kubernetes.io/revision';
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
    clusterStatus: () => Promise.reject(new Error('not used here')),
    policy: {
      command: () => ALLOWED,
      access: () => ALLOWED,
      object: () => ALLOWED,
      request: () => ALLOWED,
    },
    commandId: 'command-1',
    signal: new AbortController().signal,
    log: memoryLog(),
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

/** The history of the Deployment: one ReplicaSet for each image, the last one current. */
function putHistory(images: readonly string[]): void {
  kubernetes.put(DEPLOYMENT, {
    metadata: { ...MANAGED, namespace: 'shop', annotations: { [REVISION]: `${images.length}` } },
    spec: { replicas: 1, template: { spec: { containers: [{ image: images.at(-1) }] } } },
  });
  const uid = kubernetes.object(DEPLOYMENT)?.metadata.uid;
  for (const [index, image] of images.entries()) {
    kubernetes.put(`/apis/apps/v1/namespaces/shop/replicasets/web-${image}`, {
      metadata: {
        uid: `uid of ${image}`,
        annotations: { [REVISION]: `${index + 1}` },
        ownerReferences: [{ uid }],
      },
      spec: { template: { metadata: { labels: {} }, spec: { containers: [{ image }] } } },
    });
  }
}

const imageNow = () =>
  JSON.stringify(kubernetes.object(DEPLOYMENT)?.spec).match(/"image":"([^"]*)"/)?.[1];

describe('rollback', () => {
  test('notes its target before the first effect', async () => {
    putHistory(['one', 'two', 'three']);
    expect((await run('rollback', TARGET)).data).toMatchObject({ rolled_back_to: 2, image: 'two' });
    expect(checkpoints).toEqual([{ replica_set_uid: 'uid of two', revision: 2 }]);
    expect(imageNow()).toBe('two');
  });

  test('goes to the target noted, whatever "the one before" means by now', async () => {
    putHistory(['one', 'two', 'three', 'four']);
    const checkpoint = { replica_set_uid: 'uid of one', revision: 1 };
    expect((await run('rollback', TARGET, { checkpoint })).data).toMatchObject({ image: 'one' });
  });

  test('says which revisions there are when there is none before', async () => {
    putHistory(['one']);
    const failure = await failureOf(() => run('rollback', TARGET));
    expect(failure).toMatchObject({ code: 'NOT_FOUND', details: { revisions: [1] } });
    expect(writes()).toEqual([]);
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

  test('notes what was there before its first effect, and goes back to it', async () => {
    putHistory(['one', 'two']);
    kubernetes.rollouts = 'stuck';
    const outcome = await run('deploy', broken);
    expect(outcome.failure?.code).toBe('ROLLOUT_FAILED');
    expect(outcome.data['rolled_back']).toMatchObject({ to: 'earlier_revision' });
    expect(checkpoints[0]).toMatchObject({
      before: { replica_set_uid: 'uid of two', service: null },
    });
    expect(checkpoints[1]).toMatchObject({ failed: { replicas_wanted: 1 } });
    expect(imageNow()).toBe('two');
  });

  test('goes on with going back after a crash, and does not try again', async () => {
    putHistory(['one', 'two', 'new']);
    const before = {
      deployment: { spec: { replicas: 1 } },
      service: null,
      ingress: null,
      replica_set_uid: 'uid of two',
    };
    const failed = { revision: 3, replicas_wanted: 1, replicas_ready: 0, reasons: ['quota: full'] };
    const outcome = await run('deploy', broken, { checkpoint: { before, failed } });
    expect(outcome.failure?.message).toContain('quota: full');
    expect(outcome.data).toMatchObject({
      reasons: ['quota: full'],
      rolled_back: { to: 'earlier_revision', complete: true },
    });
    expect(imageNow()).toBe('two');
    // Once dry, once for good; the image that failed is not applied again.
    expect(writes()).toEqual([`PATCH ${DEPLOYMENT}`, `PATCH ${DEPLOYMENT}`]);
  });

  test('without ports takes its own Service away, but not that of somebody else', async () => {
    const payload = { ...TARGET, image: 'one' };
    await run('deploy', { ...payload, ports: [{ container_port: 80 }] });
    expect(kubernetes.object(SERVICE)).toBeDefined();
    await run('deploy', payload);
    expect(kubernetes.object(SERVICE)).toBeUndefined();
    kubernetes.put(SERVICE, {});
    await run('deploy', payload);
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
  const { data, output } = await run('get_resources', { kinds: ['pods', 'nodes'] });
  expect(output).toBe('2 pods and more, 0 nodes\n');
  expect(data['truncated_kinds']).toEqual(['pods']);
});

test('get_resources without kinds gives the cluster as it is reported, usage included', async () => {
  const metrics = { cpu_usage: 12.5, memory_usage: 40, pod_count: 3, node_count: 1 };
  const status = {
    ...{ nodes: null, namespaces: ['shop'], deployments: [], services: [], pods: [] },
    ...{ metrics, timestamp: '2026-01-01T00:00:00.000Z' },
  };
  const { data, output } = await run('get_resources', {}, { clusterStatus: async () => status });
  expect({ data, output }).toEqual({ data: status, output: '1 nodes, 3 pods\n' });
  expect(kubernetes.requests).toEqual([]);
});
