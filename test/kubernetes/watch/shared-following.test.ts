import { expect, test } from 'bun:test';
import type { KubernetesObject } from '@kubernetes/client-node';
import { nodeStates } from '../../../src/kubernetes/nodes/states.ts';
import { KindCache } from '../../../src/kubernetes/watch/kind-cache.ts';
import { sharedFollowing } from '../../../src/kubernetes/watch/shared-following.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { statusSource } from '../../../src/reporting/status-source.ts';
import { clusterRoutes } from '../../../src/routes/cluster.ts';
import { failureOf } from '../../support/failure-of.ts';
import { FakeCluster } from '../../support/fake-cluster.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { STANDARD_POLICY } from '../../support/standard-policy.ts';
import { until } from '../../support/until.ts';

const SERVICES = '/api/v1/services';
const REPORTED = [
  '/api/v1/nodes',
  '/api/v1/namespaces',
  '/apis/apps/v1/deployments',
  SERVICES,
  '/api/v1/pods',
];
const never = new AbortController().signal;

const service = (name: string) => ({ metadata: { name, namespace: 'shop' } });
const depsOf = (cluster: FakeCluster) => ({
  clock: systemClock,
  random: { ...seededRandom(1), fraction: () => 0.01 },
  log: memoryLog(),
  client: cluster.client(),
});
const names = () =>
  new KindCache<KubernetesObject, string>(
    { clock: systemClock },
    { key: ({ metadata }) => metadata?.name ?? '', pick: ({ metadata }) => metadata?.name ?? '' },
  );
const requestsFor = (cluster: FakeCluster, path: string, what: 'list' | 'watch') =>
  cluster.requests.filter(
    (each) => each.startsWith(`GET ${path}?`) && each.includes('watch=true') === (what === 'watch'),
  ).length;

test('reporting, routes and health of a daemon watch each kind once', async () => {
  await using cluster = new FakeCluster();
  cluster.put(SERVICES, service('web'));
  const deps = depsOf(cluster);
  const follow = sharedFollowing(deps);
  const credentials = {
    current: async () => ({ server: cluster.url, ca: '', token: 'test' }),
    reload: () => undefined,
  };
  const status = statusSource({ ...deps, follow, credentials, http: systemHttp });
  const services = [
    clusterRoutes({ ...deps, follow, policy: STANDARD_POLICY }).service,
    nodeStates({ ...deps, follow }).service,
    status.service,
  ];
  const stop = new AbortController();
  const running = await Promise.all(services.map((each) => each.start(stop.signal)));
  status.source.summary(); // As a session asks; until then nothing is followed for it.
  await until('all kinds are watched', () =>
    [...REPORTED, '/apis/networking.k8s.io/v1/ingresses'].every(
      (path) => cluster.watching(path) > 0,
    ),
  );
  expect((await status.current(never)).services?.map(({ name }) => name)).toEqual(['web']);
  expect(REPORTED.map((path) => [path, cluster.watching(path)])).toEqual(
    REPORTED.map((path) => [path, 1]),
  );
  stop.abort();
  await Promise.all(running.map(({ done }) => done));
  await until('nothing is watched', () => REPORTED.every((path) => cluster.watching(path) === 0));
});

test('who comes later is told of everything; who goes takes the watch along only as the last', async () => {
  await using cluster = new FakeCluster();
  cluster.put(SERVICES, service('web'));
  const follow = sharedFollowing(depsOf(cluster));
  const [first, second] = [names(), names()];
  const [stopFirst, stopSecond] = [new AbortController(), new AbortController()];
  const firstDone = follow(SERVICES, first, stopFirst.signal);
  await until('the first one watches', () => cluster.watching(SERVICES) === 1);
  const secondDone = follow(SERVICES, second, stopSecond.signal);
  await until('the second one knows', () => second.isKnown());
  await until('one watch is open', () => cluster.watching(SERVICES) === 1);
  cluster.put(SERVICES, service('api'));
  await until('both know of the change', () => first.size === 2 && second.size === 2);
  expect(requestsFor(cluster, SERVICES, 'list')).toBe(2);
  expect(first.generation).toBe(2); // The second list told it nothing new.
  stopFirst.abort();
  await firstDone;
  cluster.remove(SERVICES, 'shop/web');
  await until('who stayed hears of it', () => second.size === 1);
  expect([first.size, cluster.watching(SERVICES)]).toEqual([2, 1]);
  stopSecond.abort();
  await secondDone;
  await until('nothing is watched', () => cluster.watching(SERVICES) === 0);
  const again = new AbortController();
  const third = names();
  const thirdDone = follow(SERVICES, third, again.signal);
  await until('it can be followed again', () => third.size === 1);
  // One goes as another comes: neither waits for the other.
  const last = new AbortController();
  const fourth = names();
  again.abort();
  const fourthDone = follow(SERVICES, fourth, last.signal);
  await thirdDone;
  await until('who came then knows', () => fourth.size === 1);
  last.abort();
  await fourthDone;
});

test('an error of a sink is a bug: it reaches everybody who follows', async () => {
  await using cluster = new FakeCluster();
  const follow = sharedFollowing(depsOf(cluster));
  const broken = names();
  broken.listed = () => {
    throw new TypeError('a bug');
  };
  const other = failureOf(() => follow(SERVICES, names(), never));
  const failure = await failureOf(() => follow(SERVICES, broken, never));
  expect([failure.message, (await other).message]).toEqual(['a bug', 'a bug']);
});
