import { expect, test } from 'bun:test';
import { HEAD_LIMIT_BYTES } from '../../src/http1/head.ts';
import { HeadBuffer } from '../../src/http1/head-buffer.ts';
import { headRoom, OWN_HEAD_BYTES, SHARED_HEAD_BYTES } from '../../src/http1/head-room.ts';

const HEAD = 'GET / HTTP/1.1\r\nX: y';

test('a head is found wherever it is cut, and what comes behind it is left', () => {
  const bytes = Buffer.from(`${HEAD}\r\n\r\nbehind`);
  for (let first = 0; first < HEAD.length + 4; first += 1) {
    for (let second = first; second < HEAD.length + 4; second += 1) {
      const buffer = new HeadBuffer(headRoom());
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
  const buffer = new HeadBuffer(headRoom());
  expect(buffer.take(Buffer.from('first\r\n\r'))).toBe('not whole');
  expect(buffer.take(Buffer.from('\nsecond'))).toMatchObject({ head: 'first' });
  expect(buffer.take(Buffer.from('second\r\n\r\n'))).toEqual({ head: 'second', behind: undefined });
});

test('a head of the limit is taken, and none that is longer', () => {
  const buffer = new HeadBuffer(headRoom());
  const longest = 'a'.repeat(HEAD_LIMIT_BYTES);
  expect(buffer.take(Buffer.from(longest))).toBe('not whole');
  expect(buffer.take(Buffer.from('\r\n\r\n'))).toEqual({ head: longest, behind: undefined });
  expect(buffer.take(Buffer.from(`${longest}a\r\n\r\n`))).toBe('too long');
  const endless = new HeadBuffer(headRoom());
  expect(endless.take(Buffer.from(longest))).toBe('not whole');
  expect(endless.take(Buffer.from('aaaa'))).toBe('too long');
});

test('single bytes are not all looked at again for each of them', () => {
  const byte = Buffer.from('a');
  const began = process.cpuUsage();
  const buffer = new HeadBuffer(headRoom());
  for (let count = 0; count < HEAD_LIMIT_BYTES; count += 1) {
    buffer.take(byte);
  }
  // 0.15 s; with a search from the beginning 50 s.
  expect(process.cpuUsage(began).user / 1_000).toBeLessThan(1_000);
});

test('large heads share one room, and small ones need none', () => {
  const large = Buffer.from('a'.repeat(OWN_HEAD_BYTES + 1_000));
  const room = headRoom(2_000);
  const [first, second, third] = [room, room, room].map((each) => new HeadBuffer(each));
  expect(first?.take(Buffer.concat([large, Buffer.from('\r\n\r\n')]))).toMatchObject({
    head: large.toString(),
  });
  expect(second?.take(Buffer.concat([large, large]))).toBe('no room');
  expect(third?.take(Buffer.from('small\r\n\r\n'))).toMatchObject({ head: 'small' });
  // The first one is in use until it is released; then all of the room is there again.
  expect(room.take(1_001)).toBe(false);
  first?.release();
  expect(room.take(2_000)).toBe(true);
});

test('whatever becomes of a head, its room is given back', () => {
  const room = headRoom();
  const buffer = new HeadBuffer(room);
  const take = (text: string) => buffer.take(Buffer.from(text));
  expect(take('a'.repeat(HEAD_LIMIT_BYTES))).toBe('not whole');
  expect(take('aaaa')).toBe('too long');
  expect(take(`${'a'.repeat(HEAD_LIMIT_BYTES + 1)}\r\n\r\n`)).toBe('too long');
  expect(take('a'.repeat(100_000))).toBe('not whole');
  expect(take('a'.repeat(200_000))).toBe('not whole');
  buffer.release();
  expect(room.take(SHARED_HEAD_BYTES)).toBe(true);
});
