import { expect, test } from 'bun:test';
import { bytes, counted, duration } from '../../src/page/text/format.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

test.each([
  [-5, '0 s'],
  [59_999, '59 s'],
  [MINUTE_MS, '1 min'],
  [HOUR_MS - 1, '59 min'],
  [HOUR_MS, '1 h'],
  [3 * HOUR_MS + 20 * MINUTE_MS, '3 h 20 min'],
  [48 * HOUR_MS, '2 d'],
  [51 * HOUR_MS, '2 d 3 h'],
])('%d ms are %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test.each([
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_536, '1.5 KiB'],
  [200 * 1_024 * 1_024, '200 MiB'],
  [5e15, '4547 TiB'],
])('%d bytes are %s', (count, text) => {
  expect(bytes(count)).toBe(text);
});

test('one of a kind is not many', () => {
  expect([counted(1, 'pod'), counted(5_000, 'pod')]).toEqual(['1 pod', '5,000 pods']);
});
