/** `install` does not say success while what k3s deploys of its own does not run. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { placesOf } from '../../../src/core/places.ts';
import { systemReady } from '../../../src/host/k3s/system-ready.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';

const MANIFESTS = '/var/lib/rancher/k3s/server/manifests';
const COREDNS = `apiVersion: v1
kind: ServiceAccount
metadata: {name: coredns, namespace: kube-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
`;
const TRAEFIK =
  'apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {name: traefik, namespace: kube-system}\n';

type Item = Readonly<Record<string, unknown>>;

let machine: BareMachine;
let clock: ManualClock;
let items: readonly Item[];
let asked: number;
let told: string[];

beforeEach(async () => {
  machine = await bareMachine();
  clock = manualClock();
  items = [];
  asked = 0;
  told = [];
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const resource = () =>
  systemReady(
    {
      clock,
      files: systemFiles(machine.path),
      places: placesOf(),
      exec: {
        run: async () => {
          asked += 1;
          return { exitCode: 0, stdout: JSON.stringify({ items }), stderr: '' };
        },
      },
    },
    (text) => void told.push(text),
    new AbortController().signal,
  );

const deployment = (name: string, available: number, annotations = {}): Item => ({
  kind: 'Deployment',
  metadata: { name, generation: 1, annotations },
  spec: { replicas: 1 },
  status: { observedGeneration: 1, availableReplicas: available, updatedReplicas: available },
});
const waiting = (name: string, reason: string): Item => ({
  kind: 'Pod',
  metadata: { name },
  status: {
    conditions: [{ type: 'PodScheduled', status: 'True' }],
    containerStatuses: [
      { image: 'dns:1', state: { waiting: { reason, message: 'exit status 1' } } },
    ],
  },
});
const unplaced = (name: string): Item => ({
  kind: 'Pod',
  metadata: { name },
  status: {
    conditions: [{ type: 'PodScheduled', status: 'False', message: 'a taint is not tolerated' }],
  },
});

/** Waits to the end, whatever time that takes. @param each is done before each look but the first */
async function waited(each: (second: number) => void = () => undefined): Promise<unknown> {
  let isOver = false;
  const apply = resource().apply(
    () => undefined,
    () => undefined,
  );
  const end = apply
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    .finally(() => {
      isOver = true;
    });
  for (let second = 1; !isOver && second < 400; second += 1) {
    await Promise.race([clock.whenSleeping(1), end]);
    if (!isOver) {
      each(second);
      clock.advance(1_000);
    }
  }
  return end;
}

test('where k3s deploys nothing nobody is asked', async () => {
  expect(await resource().isDone()).toBe(false); // It is not installed: a plan says that this is to come.
  await machine.put('/usr/local/bin/k3s', '');
  expect(await resource().isDone()).toBe(true);
  await machine.put(`${MANIFESTS}/rolebindings.yaml`, 'kind: ClusterRole\nmetadata: {name: a}\n');
  await machine.put(`${MANIFESTS}/of-a-person.yaml`, 'kind: Deployment\nmetadata: {name: app}\n');
  await machine.put(`${MANIFESTS}/broken.yaml`, 'a: [');
  await machine.put(`${MANIFESTS}/coredns.yaml`, COREDNS);
  await machine.put(`${MANIFESTS}/coredns.yaml.skip`, '');
  expect(await resource().isDone()).toBe(true);
  expect(asked).toBe(0);
});

test('it waits for DNS until that is available', async () => {
  await machine.put('/usr/local/bin/k3s', '');
  await machine.put(`${MANIFESTS}/coredns.yaml`, COREDNS);
  const end = await waited((second) => {
    items = [deployment('coredns', second < 5 ? 0 : 1), waiting('coredns-x', 'ContainerCreating')];
  });
  expect([end, told, clock.monotonic()]).toEqual([undefined, [''], 5_000]);
  expect(await resource().isDone()).toBe(true);
});

test('a chart is installed when its job is over and what it made runs', async () => {
  await machine.put('/usr/local/bin/k3s', '');
  await machine.put(`${MANIFESTS}/traefik.yaml`, TRAEFIK);
  const job = { kind: 'Job', metadata: { name: 'helm-install-traefik' }, status: { succeeded: 1 } };
  const made = (available: number) =>
    deployment('traefik', available, { 'meta.helm.sh/release-name': 'traefik' });
  items = [job, made(0)];
  expect(await resource().isDone()).toBe(false);
  items = [made(1)];
  expect(await resource().isDone()).toBe(false);
  items = [job, made(1)];
  expect(await resource().isDone()).toBe(true);
});

test('what ends again and again is no success', async () => {
  await machine.put(`${MANIFESTS}/coredns.yaml`, COREDNS);
  items = [deployment('coredns', 0), waiting('coredns-x', 'CrashLoopBackOff')];
  expect(await waited()).toMatchObject({
    code: 'SYSTEM_NOT_READY',
    message: 'k3s runs, but not all of its own parts: coredns (CrashLoopBackOff: exit status 1)',
  });
  expect(clock.monotonic()).toBe(180_000);
});

test.each([
  [
    waiting('coredns-x', 'ImagePullBackOff'),
    'dns:1 is not there (ImagePullBackOff). It goes on by itself once the image can be fetched',
  ],
  [
    unplaced('coredns-x'),
    'no node takes it: a taint is not tolerated. It goes on by itself once a node takes it',
  ],
])('what waiting here does not mend is told by name, and soon', async (pod, because) => {
  await machine.put(`${MANIFESTS}/coredns.yaml`, COREDNS);
  items = [deployment('coredns', 0), pod];
  expect(await waited()).toBeUndefined();
  expect(told).toEqual([
    `k3s' own "coredns" does not run yet: ${because}: sudo k3s kubectl --namespace kube-system get pods\n`,
  ]);
  expect(clock.monotonic()).toBe(20_000);
});
