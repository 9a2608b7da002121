import { expect, test } from 'bun:test';
import { backoffMs } from '../../src/core/backoff.ts';
import type { Random } from '../../src/core/ports.ts';
import { seededRandom } from '../support/seeded-random.ts';

const OPTIONS = { firstMs: 100, capMs: 1_000 };

/** A Random whose every fraction is the same. */
function constantRandom(fraction: number): { readonly random: Random } {
  return { random: { ...seededRandom(1), fraction: () => fraction } };
}

test('backoffMs() doubles its upper bound with each attempt until the cap', () => {
  const half = [0, 1, 2, 3, 4, 50, 5_000].map((attempt) =>
    backoffMs(constantRandom(0.5), OPTIONS, attempt),
  );
  expect(half).toEqual([50, 100, 200, 400, 500, 500, 500]);
});

test('backoffMs() gives 0 when the lowest fraction is drawn', () => {
  expect(backoffMs(constantRandom(0), OPTIONS, 3)).toBe(0);
});

test('backoffMs() spreads waits over the whole range and stays whole and below the cap', () => {
  const random = seededRandom(7);
  const waits = Array.from({ length: 2_000 }, () => backoffMs({ random }, OPTIONS, 10));

  expect(waits.filter((wait) => !Number.isInteger(wait) || wait < 0 || wait >= 1_000)).toEqual([]);
  const tenths = new Set(waits.map((wait) => Math.floor(wait / 100)));
  expect([...tenths].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
