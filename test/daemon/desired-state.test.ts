/** Manifests of root are kept in the cluster as they are written. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { chmod, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { V1ConfigMap } from '@kubernetes/client-node';
import { AgentError } from '../../src/core/errors.ts';
import type { Files } from '../../src/core/ports.ts';
import {
  DESIRED_FILES_MAX,
  DESIRED_LOOK_MS,
  type DesiredState,
  desiredState,
} from '../../src/daemon/desired-state.ts';
import type { KubernetesClient } from '../../src/kubernetes/api/client.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { effectivePolicy } from '../../src/policy/effective.ts';
import { policyOf } from '../../src/policy/evaluate.ts';
import { PolicyFile } from '../../src/protocol/files/policy.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { clientOf } from '../support/fake-kubernetes-client.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';

const MAPS = '/api/v1/namespaces/shop/configmaps';
const KEPT_BY = 'pipeops.io/kept-by';

let directory: TempDirectory;
let kubernetes: FakeKubernetes;
let clock: ManualClock;
let policy: unknown;
/** Of files and of the cluster; then the process is as good as dead. */
let changesLeft: number;

const paths = () => ({
  desired: join(directory.path, 'desired'),
  keptObjects: join(directory.path, 'kept-objects.json'),
});
const mapText = (name: string, value: string) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, namespace: shop}\ndata: {key: ${value}}\n`;
const put = (file: string, text: string) => writeFile(join(paths().desired, file), text);
const dataOf = (name: string) =>
  (kubernetes.object(`${MAPS}/${name}`) as V1ConfigMap | undefined)?.data;

beforeEach(async () => {
  directory = await tempDirectory();
  kubernetes = await startFakeKubernetes();
  clock = manualClock();
  policy = {};
  changesLeft = Number.POSITIVE_INFINITY;
  await mkdir(paths().desired, { mode: 0o755 });
  kubernetes.put('/api/v1/namespaces/shop', {});
  kubernetes.put('/api/v1', {
    resources: [
      { name: 'configmaps', kind: 'ConfigMap', namespaced: true },
      { name: 'persistentvolumeclaims', kind: 'PersistentVolumeClaim', namespaced: true },
      { name: 'namespaces', kind: 'Namespace', namespaced: false },
    ],
  });
});
afterEach(async () => {
  await kubernetes[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

function portsThatEnd() {
  const [files, client] = [systemFiles('/'), clientOf(kubernetes)];
  const change = () => {
    changesLeft = Math.max(-1, changesLeft - 1);
    if (changesLeft < 0) {
      throw new AgentError('INTERRUPTED', 'killed');
    }
  };
  return {
    files: {
      ...files,
      writeAtomic: async (...args: Parameters<Files['writeAtomic']>) => {
        change();
        await files.writeAtomic(...args);
      },
    },
    kubernetes: {
      ...client,
      apply: async (...args: Parameters<KubernetesClient['apply']>) => {
        change();
        return await client.apply(...args);
      },
      remove: async (...args: Parameters<KubernetesClient['remove']>) => {
        change();
        return await client.remove(...args);
      },
    } as KubernetesClient,
  };
}

/** Starts it, or starts it again, and looks so often. @returns what it says then */
async function look(times = 1): Promise<ReturnType<DesiredState['facts']>> {
  const state = desiredState(
    {
      ...{ clock, log: memoryLog(), ...portsThatEnd() },
      workElsewhere: () => Promise.reject(new Error('not used here')),
      policy: policyOf(effectivePolicy(PolicyFile.parse(policy))),
      node: 'node-1',
    },
    paths(),
    process.getuid?.(),
  );
  const stop = new AbortController();
  const { done } = await state.start(stop.signal);
  for (let left = times; left > 0; left -= 1) {
    await clock.whenSleeping(1);
    clock.advance(left === 1 ? 0 : 2 * DESIRED_LOOK_MS);
  }
  stop.abort();
  await done;
  return state.facts();
}

const noProblems = { problems: [], lookedAt: expect.any(Date) };

test('objects come with their manifests, are brought back when they drift, and go with them', async () => {
  await put('a.yaml', `${mapText('one', 'a')}---\n${mapText('two', 'b')}`);
  await put('b.yml', mapText('three', 'c'));
  await put('notes.txt', 'no manifest');
  expect(await look()).toEqual({ files: 2, objects: 3, changes: 3, ...noProblems });
  expect(kubernetes.object(`${MAPS}/one`)?.metadata['annotations']).toEqual({
    [KEPT_BY]: 'node-1',
  });
  expect(await look()).toEqual({ files: 2, objects: 3, changes: 0, ...noProblems });

  const drifted = kubernetes.object(`${MAPS}/one`);
  Object.assign(drifted ?? {}, { data: { key: 'of a person' } });
  const { uid = '' } = kubernetes.object(`${MAPS}/two`)?.metadata ?? {};
  await clientOf(kubernetes).remove(`${MAPS}/two`, uid, new AbortController().signal);
  expect(await look()).toMatchObject({ changes: 2 });
  expect([dataOf('one'), dataOf('two')]).toEqual([{ key: 'a' }, { key: 'b' }]);

  await put('a.yaml', mapText('one', 'a'));
  await rm(join(paths().desired, 'b.yml'));
  expect(await look()).toEqual({ files: 1, objects: 1, changes: 2, ...noProblems });
  expect([dataOf('one'), dataOf('two'), dataOf('three')]).toEqual([
    { key: 'a' },
    undefined,
    undefined,
  ]);
});

test('an object that nobody has touched is asked for and not written', async () => {
  await put('a.yaml', mapText('one', 'a'));
  await look(3);
  const writes = kubernetes.requests.filter((request) => request.startsWith('PATCH '));
  expect(writes).toHaveLength(1);
});

test('another version of its API is the same object, and another group is another one', async () => {
  const scaler = (version: string) =>
    `apiVersion: autoscaling/${version}\nkind: Scaler\nmetadata: {name: one, namespace: shop}\n`;
  for (const version of ['autoscaling/v1', 'autoscaling/v2', 'example.com/v1']) {
    kubernetes.put(`/apis/${version}`, {
      resources: [{ name: 'scalers', kind: 'Scaler', namespaced: true }],
    });
  }
  const groups = ['autoscaling', 'example.com'];
  policy = { resources: groups.map((group) => ({ group, resource: 'scalers', write: true })) };
  await put('a.yaml', scaler('v1'));
  await put('b.yaml', scaler('v1').replace('autoscaling', 'example.com'));
  expect(await look()).toMatchObject({ objects: 2, problems: [] });
  await put('a.yaml', scaler('v2'));
  expect(await look()).toMatchObject({ objects: 2, problems: [] });
  expect(kubernetes.requests.filter((request) => request.startsWith('DELETE '))).toEqual([]);
});

test('without the directory nothing is brought and nothing is removed', async () => {
  await put('a.yaml', mapText('one', 'a'));
  await look();
  await rm(paths().desired, { recursive: true });
  expect(await look()).toBeUndefined();
  expect(dataOf('one')).toEqual({ key: 'a' });
  // It is still known what it had brought.
  await mkdir(paths().desired, { mode: 0o755 });
  expect(await look()).toMatchObject({ files: 0, changes: 1 });
  expect(dataOf('one')).toBeUndefined();
});

test('a manifest with a problem stops no other one, and nothing is removed meanwhile', async () => {
  await put('a.yaml', mapText('one', 'a'));
  await put('b.yaml', mapText('two', 'b'));
  await look();
  await put('b.yaml', 'kind: [');
  await put('c.yaml', mapText('three', 'c'));
  await put('d.yaml', mapText('one', 'other'));
  expect(await look()).toMatchObject({
    objects: 2,
    problems: [
      { about: 'b.yaml', code: 'COMMAND_INVALID' },
      { about: 'd.yaml', message: 'has ConfigMap shop/one once more' },
    ],
  });
  expect([dataOf('one'), dataOf('two'), dataOf('three')]).toEqual([
    { key: 'a' },
    { key: 'b' },
    { key: 'c' },
  ]);
});

test('the policy applies to root, too', async () => {
  await put('a.yaml', mapText('one', 'a'));
  policy = { preset: 'read-only' };
  expect(await look()).toMatchObject({ problems: [{ about: 'a.yaml', code: 'POLICY_DENIED' }] });
  policy = { namespaces: { deny: ['shop'] } };
  expect(await look()).toMatchObject({ problems: [{ about: 'a.yaml', code: 'POLICY_DENIED' }] });
  expect(dataOf('one')).toBeUndefined();
});

test('a file that others could have written counts for nothing', async () => {
  await put('a.yaml', mapText('one', 'a'));
  await chmod(join(paths().desired, 'a.yaml'), 0o666);
  expect(await look()).toMatchObject({
    files: 0,
    problems: [{ about: 'a.yaml', code: 'FILE_ACCESS' }],
  });
  expect(dataOf('one')).toBeUndefined();
});

test.each(['writable by others', 'a link'])(
  'of a directory that is %s nothing counts and nothing is removed',
  async (how) => {
    await put('a.yaml', mapText('one', 'a'));
    await look();
    await rm(join(paths().desired, 'a.yaml'));
    await put('b.yaml', mapText('two', 'b'));
    if (how === 'a link') {
      await rename(paths().desired, `${paths().desired}-of-others`);
      await symlink(`${paths().desired}-of-others`, paths().desired);
    } else {
      await chmod(paths().desired, 0o777);
    }
    expect(await look()).toMatchObject({
      files: 0,
      problems: [{ about: 'the directory', code: 'FILE_ACCESS' }],
    });
    expect([dataOf('one'), dataOf('two')]).toEqual([{ key: 'a' }, undefined]);
  },
);

test('what somebody else has applied since stays, and so does what holds data', async () => {
  const claim =
    'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: shop}\n';
  const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: more}\n';
  await put('a.yaml', [mapText('one', 'a'), claim, namespace].join('---\n'));
  await look();
  await clientOf(kubernetes).apply(
    `${MAPS}/one`,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one', namespace: 'shop' } },
    new AbortController().signal,
  );
  await rm(join(paths().desired, 'a.yaml'));
  expect(await look()).toEqual({ files: 0, objects: 0, changes: 0, ...noProblems });
  expect(
    [
      `${MAPS}/one`,
      '/api/v1/namespaces/shop/persistentvolumeclaims/data',
      '/api/v1/namespaces/more',
    ].map((path) => kubernetes.object(path) !== undefined),
  ).toEqual([true, true, true]);
});

test('killed after it has noted what it brings, the next start removes that when it is wanted no more', async () => {
  await put('a.yaml', mapText('one', 'a'));
  kubernetes.failWith = 503;
  expect(await look()).toMatchObject({ changes: 0 });
  kubernetes.failWith = undefined;
  await look();
  await rm(join(paths().desired, 'a.yaml'));
  expect(await look()).toMatchObject({ changes: 1 });
  expect(await look(2)).toMatchObject({ files: 0, changes: 0 });
});

test('killed at any change, the next start brings the cluster to where root wants it', async () => {
  for (let step = 0; step < 5; step += 1) {
    await put('a.yaml', `${mapText('one', 'a')}---\n${mapText('two', 'b')}`);
    await look();
    await put('a.yaml', `${mapText('two', 'B')}---\n${mapText('three', 'c')}`);
    changesLeft = step;
    await look();
    expect([step, changesLeft]).toEqual([step, -1]); // It was stopped at this one.
    changesLeft = Number.POSITIVE_INFINITY;
    await look();
    expect([step, dataOf('one'), dataOf('two'), dataOf('three')]).toEqual([
      ...[step, undefined, { key: 'B' }, { key: 'c' }],
    ]);
    const noted = await Bun.file(paths().keptObjects).json();
    expect(noted.objects.map(({ name }: { name: string }) => name)).toEqual(['two', 'three']);
  }
});

test('more files than it takes are named, and those that fit are kept', async () => {
  for (let index = 10; index < 10 + DESIRED_FILES_MAX + 2; index += 1) {
    await put(`${index}.yaml`, mapText(`m${index}`, 'a'));
  }
  const facts = await look();
  expect([facts?.files, facts?.problems.map(({ about }) => about)]).toEqual([
    DESIRED_FILES_MAX,
    ['60.yaml', '61.yaml'],
  ]);
});
