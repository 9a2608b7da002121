import { describe, expect, test } from 'bun:test';
import { cutInTheMiddle, middleCut, redactedStart } from '../../../src/core/text/middle-cut.ts';

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

describe('a secret across a cut', () => {
  const LIMIT_BYTES = 2_000;
  const JWT = `eyJ${'a'.repeat(300)}.${'b'.repeat(600)}.${'c'.repeat(300)}`;
  const KNOWN = 'hunter2!'.repeat(100);
  /** Letters of neither secret, nor of the mark. */
  const filler = (length: number) => 'ZY X\n'.repeat(Math.ceil(length / 5)).slice(0, length);
  const SHOWN = /a{3}|b{3}|c{3}|eyJ|hunter2/;

  test('shows no part of it, wherever it stands', () => {
    for (const secret of [JWT, KNOWN]) {
      for (const length of [5_000, 200_000]) {
        const places = [900, 1_000, length / 2, length - 2_000, length - 1_200, length - 900];
        for (const at of places.flatMap((place) => [place, place - 400, place - 33])) {
          const text = `${filler(at)} ${secret} ${filler(length - at)}`;
          const cut = cutInTheMiddle(text, LIMIT_BYTES, [KNOWN]);
          expect(SHOWN.exec(cut.text)?.[0]).toBeUndefined();
          expect(Buffer.byteLength(cut.text)).toBeLessThanOrEqual(LIMIT_BYTES);
          expect(SHOWN.exec(redactedStart(text, at + 100, [KNOWN]))?.[0]).toBeUndefined();
        }
      }
    }
  });

  test('does so where many secrets before it make a text short', () => {
    const text = `${JWT} `.repeat(2_000);
    expect(SHOWN.exec(cutInTheMiddle(text, LIMIT_BYTES).text)?.[0]).toBeUndefined();
    expect(SHOWN.exec(redactedStart(text, 5_000))?.[0]).toBeUndefined();
  });

  test('costs no more time for what is left out', () => {
    const text = '\n'.repeat(16 * 1024 * 1024);
    const began = process.cpuUsage();
    cutInTheMiddle(text, 1_000);
    redactedStart(text, 1_000);
    // With redaction before the cut it takes half a minute.
    expect(process.cpuUsage(began).user / 1_000).toBeLessThan(2_000);
  });

  test('broken characters take no more time than others', () => {
    const bytes = Buffer.alloc(1024 * 1024, 0xff);
    const cut = middleCut(256 * 1024);
    cut.add(bytes);
    const began = process.cpuUsage();
    expect(cut.result().truncated).toBe(true);
    expect(process.cpuUsage(began).user / 1_000).toBeLessThan(1_000);
  });
});
