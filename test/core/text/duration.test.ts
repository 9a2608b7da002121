import { describe, expect, test } from 'bun:test';
import { formatDuration, parseDuration } from '../../../src/core/text/duration.ts';
import { seededRandom } from '../../support/seeded-random.ts';

describe('parseDuration()', () => {
  test.each([
    ['0s', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['15m', 900_000],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
    ['1d2h3m4s5ms', 93_784_005],
    ['90m90m', 10_800_000],
  ])('reads %s as %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '30', 's', '-5s', '1.5h', '5 s', '5S', '10w', '5s!', '\n5s', 'Infinitys'])(
    'refuses %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});

describe('formatDuration()', () => {
  test.each([
    [0, '0ms'],
    [80.4, '80ms'],
    [999, '999ms'],
    [999.6, '1s'],
    [1_000, '1s'],
    [1_240, '1.2s'],
    [9_940, '9.9s'],
    [10_000, '10s'],
    [59_400, '59s'],
    [60_000, '1m'],
    [61_000, '1m 1s'],
    [900_000, '15m'],
    [3_600_000, '1h'],
    [3_661_000, '1h 1m'],
    [273_600_000, '3d 4h'],
    [8_640_000_000, '100d'],
  ])('renders %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test('gives text that parseDuration() reads back, less than a second off below an hour', () => {
    const random = seededRandom(11);
    const worst = Array.from({ length: 500 }, () => 10_000 + random.fraction() * 3_590_000)
      .map((ms) => Math.abs((parseDuration(formatDuration(ms).replace(' ', '')) ?? -1) - ms))
      .reduce((a, b) => Math.max(a, b));
    expect(worst).toBeLessThan(1_000);
  });
});
