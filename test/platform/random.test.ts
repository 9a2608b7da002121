import { expect, test } from 'bun:test';
import { systemRandom } from '../../src/platform/random.ts';

test('systemRandom.fraction() stays in its range and varies', () => {
  const fractions = Array.from({ length: 100 }, () => systemRandom.fraction());
  expect(fractions.filter((fraction) => fraction < 0 || fraction >= 1)).toEqual([]);
  expect(new Set(fractions).size).toBeGreaterThan(90);
});

test('systemRandom.bytes() gives as many bytes as asked for, others each time', () => {
  expect([systemRandom.bytes(0).length, systemRandom.bytes(16).length]).toEqual([0, 16]);
  expect(systemRandom.bytes(16)).not.toEqual(systemRandom.bytes(16));
});
