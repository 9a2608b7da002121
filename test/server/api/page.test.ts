/** Pages of rows: filtered, sorted, and cut. */
import { expect, test } from 'bun:test';
import { systemClock } from '../../../src/platform/clock.ts';
import { pageOf } from '../../../src/server/api/page.ts';

const row = (namespace: string, name: string, restarts = 0) => ({ namespace, name, restarts });
const page = (rows: readonly ReturnType<typeof row>[], sort: string, limit = 10, offset = 0) =>
  pageOf({ clock: systemClock }, rows, { limit, offset, sort, wanted: () => true });

test('rows are sorted by a field both ways, equal ones by namespace and name', async () => {
  const rows = [row('b', 'x', 1), row('a', 'y', 2), row('a', 'x', 1), row('c', 'a', 10)];
  const names = async (sort: string) =>
    (await page(rows, sort)).items.map(({ namespace, name }) => `${namespace}/${name}`);
  expect(await names('name')).toEqual(['c/a', 'a/x', 'b/x', 'a/y']);
  expect(await names('restarts')).toEqual(['a/x', 'b/x', 'a/y', 'c/a']);
  expect(await names('-restarts')).toEqual(['c/a', 'a/y', 'a/x', 'b/x']);
});

test('all of a namespace stand together, also where the name of one begins with that of another', async () => {
  const rows = [row('shop-eu', 'a'), row('shop', 'b'), row('shop', 'a')];
  const { items } = await page(rows, 'restarts');
  expect(items).toEqual([row('shop', 'a'), row('shop', 'b'), row('shop-eu', 'a')]);
});

test('pages follow each other without a gap, and count what fits', async () => {
  const rows = Array.from({ length: 25 }, (_, at) => row('a', `n${String(at).padStart(2, '0')}`));
  const shuffled = rows.toSorted((a, b) => (Bun.hash(a.name) < Bun.hash(b.name) ? -1 : 1));
  const found = [];
  for (const offset of [0, 10, 20]) {
    const { total, items } = await page(shuffled, 'name', 10, offset);
    expect(total).toBe(25);
    found.push(...items);
  }
  expect(found).toEqual(rows);
  expect(await page(rows, 'name', 10, 30)).toEqual({ total: 25, offset: 30, items: [] });
});

test('of a hundred thousand rows the last page that can be asked for is right', async () => {
  const rows = Array.from({ length: 100_000 }, (_, at) => row('a', String((at * 7_919) % 100_000)));
  const wanted = ({ name }: ReturnType<typeof row>) => Number(name) % 2 === 0;
  const { total, items } = await pageOf({ clock: systemClock }, rows, {
    ...{ limit: 3, offset: 9_500, sort: 'name', wanted },
  });
  const all = rows
    .filter(wanted)
    .map(({ name }) => name)
    .sort();
  expect({ total, names: items.map(({ name }) => name) }).toEqual({
    ...{ total: 50_000, names: all.slice(9_500, 9_503) },
  });
});
