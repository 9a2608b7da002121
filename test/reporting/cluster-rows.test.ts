/** Rows of the cluster for the local API. */
import { expect, test } from 'bun:test';
import { sharedFollowing } from '../../src/kubernetes/watch/shared-following.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import { statusSource } from '../../src/reporting/status-source.ts';
import { startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { clientOf, credentialsOf } from '../support/fake-kubernetes-client.ts';
import { memoryLog } from '../support/memory-log.ts';
import { seededRandom } from '../support/seeded-random.ts';

const READ_MAX = 5_000;
const never = new AbortController().signal;

test('of very many events not all are read, and that is told', async () => {
  await using kubernetes = await startFakeKubernetes();
  const deps = {
    ...{ clock: systemClock, random: seededRandom(1), log: memoryLog(), http: systemHttp },
    ...{ client: clientOf(kubernetes), credentials: credentialsOf(kubernetes) },
  };
  const { rows: read } = statusSource({ ...deps, follow: sharedFollowing(deps) });
  const put = (name: string) =>
    kubernetes.put(`/api/v1/namespaces/shop/events/${name}`, {
      metadata: { namespace: 'shop' },
      involvedObject: { namespace: 'shop', kind: 'Pod', name },
    });
  for (let count = 0; count < READ_MAX; count += 1) {
    put(`pod-${count}`);
  }
  const whole = await read('events', never);
  expect(whole.isTruncated).toBe(false);
  expect(new Set(whole.rows.map(({ name }) => name)).size).toBe(READ_MAX);
  put('one-more');
  const { rows, isTruncated } = await read('events', never);
  expect({ count: rows.length, isTruncated }).toEqual({ count: READ_MAX, isTruncated: true });
});
