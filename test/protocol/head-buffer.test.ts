import { expect, test } from 'bun:test';
import { HeadBuffer } from '../../src/protocol/head-buffer.ts';
import { HEAD_LIMIT_BYTES } from '../../src/protocol/http-head.ts';

const HEAD = 'GET / HTTP/1.1\r\nX: y';

test('a head is found wherever it is cut, and what comes behind it is left', () => {
  const bytes = Buffer.from(`${HEAD}\r\n\r\nbehind`);
  for (let first = 0; first < HEAD.length + 4; first += 1) {
    for (let second = first; second < HEAD.length + 4; second += 1) {
      const buffer = new HeadBuffer();
      expect(buffer.take(bytes.subarray(0, first))).toBe('not whole');
      expect(buffer.take(bytes.subarray(first, second))).toBe('not whole');
      expect(buffer.take(bytes.subarray(second))).toEqual({
        head: HEAD,
        behind: Buffer.from('behind'),
      });
      expect(buffer.isEmpty).toBe(true);
    }
  }
});

test('heads follow each other in one buffer', () => {
  const buffer = new HeadBuffer();
  expect(buffer.take(Buffer.from('first\r\n\r'))).toBe('not whole');
  expect(buffer.take(Buffer.from('\nsecond'))).toMatchObject({ head: 'first' });
  expect(buffer.take(Buffer.from('second\r\n\r\n'))).toEqual({ head: 'second', behind: undefined });
});

test('a head of the limit is taken, and none that is longer', () => {
  const buffer = new HeadBuffer();
  const longest = 'a'.repeat(HEAD_LIMIT_BYTES);
  expect(buffer.take(Buffer.from(longest))).toBe('not whole');
  expect(buffer.take(Buffer.from('\r\n\r\n'))).toEqual({ head: longest, behind: undefined });
  expect(buffer.take(Buffer.from(`${longest}a\r\n\r\n`))).toBe('too long');
  const endless = new HeadBuffer();
  expect(endless.take(Buffer.from(longest))).toBe('not whole');
  expect(endless.take(Buffer.from('aaaa'))).toBe('too long');
});

test('single bytes are not all looked at again for each of them', () => {
  const byte = Buffer.from('a');
  const began = process.cpuUsage();
  for (let heads = 0; heads < 10; heads += 1) {
    const buffer = new HeadBuffer();
    for (let count = 0; count < HEAD_LIMIT_BYTES; count += 1) {
      buffer.take(byte);
    }
  }
  // 0.1 s; with a search from the beginning 2 s.
  expect(process.cpuUsage(began).user / 1_000).toBeLessThan(1_000);
});
