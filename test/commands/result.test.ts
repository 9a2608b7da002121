import { describe, expect, test } from 'bun:test';
import { cutInTheMiddle } from '../../src/commands/result.ts';

describe('cutInTheMiddle()', () => {
  test('leaves what fits', () => {
    expect(cutInTheMiddle('short', 100)).toEqual({ text: 'short', truncated: false });
  });

  test('keeps beginning and end within the limit and says what is lost', () => {
    const { text, truncated } = cutInTheMiddle(`begin${'x'.repeat(1_000)}end`, 200);
    expect(truncated).toBe(true);
    expect(text).toMatch(/^begin.*\n\[… 808 bytes or more left out …\]\n.*end$/s);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(200);
  });

  test('never gives half a character', () => {
    for (let limit = 100; limit < 110; limit += 1) {
      expect(cutInTheMiddle('ü'.repeat(500), limit).text).not.toContain('\uFFFD');
    }
  });
});
