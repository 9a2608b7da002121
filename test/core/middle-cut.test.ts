import { describe, expect, test } from 'bun:test';
import { cutInTheMiddle, middleCut } from '../../src/core/middle-cut.ts';

describe('middleCut()', () => {
  test.each([1, 3, 7, 64, 5_000])('gives the same in pieces of %d bytes as at once', (piece) => {
    const bytes = Buffer.from(Array.from({ length: 900 }, (_, index) => `${index} ü\n`).join(''));
    for (const limit of [100, 101, 1_000, bytes.length, bytes.length + 1]) {
      const cut = middleCut(limit);
      for (let at = 0; at < bytes.length; at += piece) {
        cut.add(bytes.subarray(at, at + piece));
      }
      expect(cut.result()).toEqual(cutInTheMiddle(bytes.toString(), limit));
    }
  });

  test('is empty until a byte came', () => {
    const cut = middleCut(100);
    cut.add(new Uint8Array());
    const before = cut.isEmpty();
    cut.add(Uint8Array.of(65));
    expect([before, cut.isEmpty(), cut.result()]).toEqual([
      true,
      false,
      { text: 'A', truncated: false },
    ]);
  });
});
