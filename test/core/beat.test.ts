import { describe, expect, test } from 'bun:test';
import { msUntilBeat } from '../../src/core/beat.ts';

const at = (ms: number) => ({ monotonic: () => ms });

describe('msUntilBeat()', () => {
  test.each([
    [0, 2_000],
    [700, 1_300],
    [4_000.4, 2_000],
  ])('at %p ms it is the next multiple', (now, expected) => {
    expect(msUntilBeat(at(now), 2_000)).toBe(expected);
  });

  test.each([
    [1_999.6, 2_001],
    [3_500, 2_500],
  ])('at %p ms it is the one after, because the next is too near', (now, expected) => {
    expect(msUntilBeat(at(now), 2_000)).toBe(expected);
  });

  test('brings those who began at other moments and look at other intervals together', () => {
    const due = [100, 730, 999].flatMap((now) => [
      now + msUntilBeat(at(now), 1_000),
      now + msUntilBeat(at(now), 2_000),
    ]);
    expect(due).toEqual([1_000, 2_000, 2_000, 2_000, 2_000, 2_000]);
  });
});
