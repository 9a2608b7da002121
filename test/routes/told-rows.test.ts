import { expect, test } from 'bun:test';
import { routeRows, tunnelRows } from '../../src/routes/told-rows.ts';
import { failureOf } from '../support/failure-of.ts';

const unknown = { routes: () => undefined, tunnels: () => undefined };

test('where the control plane is told of none, there are none', () => {
  const cluster = { ...unknown, isFollowed: () => false };
  expect([routeRows(cluster), tunnelRows(cluster)]).toEqual([{ rows: [], leftOut: 0 }, []]);
});

test('before they have been listed once, nobody knows', async () => {
  const cluster = { ...unknown, isFollowed: () => true };
  const codes = [() => routeRows(cluster), () => tunnelRows(cluster)].map(
    async (read) => (await failureOf(read)).code,
  );
  expect(await Promise.all(codes)).toEqual(['KUBERNETES_API', 'KUBERNETES_API']);
});
