import { expect, test } from 'bun:test';
import type { V1Pod } from '@kubernetes/client-node';
import type { Clock } from '../../../src/core/ports.ts';
import { followKind, WATCH_SILENCE_MS } from '../../../src/kubernetes/watch/informer.ts';
import { KindCache } from '../../../src/kubernetes/watch/kind-cache.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { failureOf } from '../../support/failure-of.ts';
import { FakeCluster } from '../../support/fake-cluster.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { until } from '../../support/until.ts';

/** Draws the shortest of all waits. */
const eager = { ...seededRandom(1), fraction: () => 0.01 };

const PODS = '/api/v1/pods';

function pod(name: string, node = 'one') {
  return { metadata: { name, namespace: 'shop' }, spec: { nodeName: node } };
}

/** An informer over a cluster, its cache, and what it logs. */
function following(cluster: FakeCluster, clock: Clock = systemClock) {
  const log = memoryLog();
  const stop = new AbortController();
  const cache = new KindCache<V1Pod, string>(
    { clock },
    {
      key: ({ metadata }) => `${metadata?.namespace}/${metadata?.name}`,
      pick: ({ spec }) => spec?.nodeName ?? '',
    },
  );
  const deps = { clock, log, random: eager, client: cluster.client() };
  const done = followKind(deps, PODS, cache, stop.signal);
  return {
    cache,
    log,
    done,
    deps,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
    },
  };
}

const lists = (cluster: FakeCluster) =>
  cluster.requests.filter((each) => !each.includes('watch=true') && !each.includes('continue='));
const watches = (cluster: FakeCluster) =>
  cluster.requests.filter((each) => each.includes('watch=true'));

test('followKind() lists page by page and then follows additions, changes and deletions', async () => {
  await using cluster = new FakeCluster();
  for (let index = 0; index < 1_201; index += 1) {
    cluster.put(PODS, pod(`p${index}`));
  }
  await using informer = following(cluster);
  await until('it watches', () => cluster.watching(PODS) === 1);
  expect(informer.cache.size).toBe(1_201);
  expect(cluster.requests.slice(0, 3)).toEqual([
    `GET ${PODS}?limit=500`,
    `GET ${PODS}?limit=500&continue=token-1`,
    `GET ${PODS}?limit=500&continue=token-2`,
  ]);
  const { generation } = informer.cache;
  cluster.put(PODS, pod('p1', 'two'));
  cluster.put(PODS, pod('new'));
  cluster.remove(PODS, 'shop/p2');
  await until('all changes came', () => informer.cache.generation === generation + 3);
  expect(informer.cache.changesSince(generation)).toEqual({
    changed: ['two', 'one'],
    removed: ['shop/p2'],
  });
  expect(informer.cache.size).toBe(1_201);
});

test('followKind() goes on from the last bookmark when a watch breaks', async () => {
  await using cluster = new FakeCluster();
  cluster.put(PODS, pod('a'));
  await using informer = following(cluster);
  await until('it watches', () => cluster.watching(PODS) === 1);
  cluster.put('/api/v1/other', pod('x')); // Moves the version on without an event for pods.
  cluster.bookmark();
  cluster.put(PODS, pod('b'));
  await until('two are known', () => informer.cache.size === 2);
  cluster.disconnect();
  await until(
    'it watches again',
    () => cluster.watching(PODS) === 1 && watches(cluster).length === 2,
  );
  expect(lists(cluster)).toHaveLength(1);
  expect(watches(cluster)[1]).toContain('resourceVersion=4');
  expect(watches(cluster)[1]).toContain('allowWatchBookmarks=true');
  expect(watches(cluster)[1]).toMatch(/timeoutSeconds=(2[4-9]\d|300)/);
});

test('followKind() starts the list again when its place expires in the middle', async () => {
  await using cluster = new FakeCluster();
  for (let index = 0; index < 501; index += 1) {
    cluster.put(PODS, pod(`p${index}`));
  }
  cluster.intercept = (url) => {
    if (url.searchParams.has('continue')) {
      cluster.intercept = () => undefined;
      cluster.remove(PODS, 'shop/p0');
      cluster.compact();
    }
    return undefined;
  };
  await using informer = following(cluster);
  await until('it watches', () => cluster.watching(PODS) === 1);
  expect(informer.cache.size).toBe(500);
  expect(lists(cluster)).toHaveLength(2);
  expect(informer.log.entries.map((each) => each.level)).toEqual(['debug']);
});

test('followKind() waits before it lists again, however long the list took', async () => {
  await using cluster = new FakeCluster();
  for (let index = 0; index < 501; index += 1) {
    cluster.put(PODS, pod(`p${index}`));
  }
  const clock = manualClock();
  cluster.intercept = (url) => {
    if (url.searchParams.has('continue')) {
      cluster.intercept = () => undefined;
      clock.advance(20_000);
      cluster.compact();
    }
    return undefined;
  };
  await using informer = following(cluster, clock);
  await clock.whenSleeping(1);
  expect(clock.remainingMs()).toEqual([5]);
  clock.advance(5);
  await until('all are known', () => informer.cache.size === 501 && cluster.watching(PODS) === 1);
});

test('followKind() lists again when a watch is told that its place expired, and finds deletions', async () => {
  await using cluster = new FakeCluster();
  cluster.put(PODS, pod('stays'));
  cluster.put(PODS, pod('goes'));
  await using informer = following(cluster);
  await until('it watches', () => cluster.watching(PODS) === 1);
  const { generation } = informer.cache;
  const refuse = () => new Response('no', { status: 503 });
  cluster.intercept = refuse;
  cluster.disconnect();
  await until('it is in trouble', () => informer.cache.trouble !== undefined);
  cluster.remove(PODS, 'shop/goes');
  cluster.compact();
  cluster.intercept = () => undefined;
  await until('it watches', () => cluster.watching(PODS) === 1);
  expect(informer.cache.changesSince(generation)).toEqual({ changed: [], removed: ['shop/goes'] });
  expect(informer.cache.trouble).toBeUndefined();
});

test('followKind() finds what was deleted between the list and the watch', async () => {
  await using cluster = new FakeCluster();
  cluster.put(PODS, pod('a'));
  cluster.intercept = (url) => {
    if (url.searchParams.has('watch')) {
      cluster.intercept = () => undefined;
      cluster.remove(PODS, 'shop/a');
    }
    return undefined;
  };
  await using informer = following(cluster);
  await until(
    'it has listed again',
    () => cluster.watching(PODS) === 1 && informer.cache.generation === 2,
  );
  expect(informer.cache.rows()).toEqual([]);
});

test('followKind() lists again when a watch falls silent', async () => {
  await using cluster = new FakeCluster();
  cluster.put(PODS, pod('a'));
  const clock = manualClock();
  await using informer = following(cluster, clock);
  await until('one is known', () => cluster.watching(PODS) === 1 && informer.cache.size === 1);
  await clock.whenSleeping(1);
  clock.advance(WATCH_SILENCE_MS);
  await until('it lists again', () => lists(cluster).length === 2);
  await until('it watches', () => cluster.watching(PODS) === 1);
  expect(informer.log.entries).toEqual([
    { level: 'debug', message: 'a watch fell silent; listing again', fields: { path: PODS } },
  ]);
});

test('followKind() says once that Kubernetes does not answer, and goes on when it does', async () => {
  await using cluster = new FakeCluster();
  cluster.put(PODS, pod('a'));
  let refused = 0;
  cluster.intercept = () => {
    refused += 1;
    return new Response('{"reason":"Broken"}', { status: refused <= 3 ? 500 : 502 });
  };
  await using informer = following(cluster);
  await until('it was refused', () => refused >= 3);
  cluster.intercept = () => undefined;
  await until('one is known', () => informer.cache.size === 1);
  const levels = informer.log.entries.map((each) => each.level);
  expect(levels.filter((level) => level === 'warn')).toHaveLength(1);
});

test('followKind() retries a page that is cut off or is no JSON', async () => {
  await using cluster = new FakeCluster();
  cluster.put(PODS, pod('a'));
  const answers = ['{"items":[{"metadata":{"name":"x"', 'nonsense'];
  cluster.intercept = () => {
    const answer = answers.shift();
    return answer === undefined ? undefined : new Response(answer);
  };
  await using informer = following(cluster);
  await until('it watches', () => cluster.watching(PODS) === 1);
  expect(informer.cache.rows()).toEqual(['one']);
  expect(informer.log.entries[0]?.fields['error_code']).toBe('KUBERNETES_API');
});

test('followKind() does not swallow an error of its sink', async () => {
  await using cluster = new FakeCluster();
  cluster.put(PODS, pod('a'));
  const sink = new KindCache<V1Pod, string>(
    { clock: systemClock },
    {
      key: () => 'a',
      pick: () => {
        throw new TypeError('a bug in the handler');
      },
    },
  );
  const deps = {
    clock: systemClock,
    log: memoryLog(),
    random: eager,
    client: cluster.client(),
  };
  const failure = await failureOf(async () =>
    followKind(deps, PODS, sink, new AbortController().signal),
  );
  expect(failure).toMatchObject({ code: 'INTERNAL', message: 'a bug in the handler' });
});
