import { expect, test } from 'bun:test';
import { ByteQueue } from '../../src/yamux/byte-queue.ts';

function contentOf(queue: ByteQueue, step: number): Buffer {
  const parts: Buffer[] = [];
  for (let head = queue.head(); head !== undefined; head = queue.head()) {
    const part = Buffer.from(head.subarray(0, step));
    parts.push(part);
    queue.drop(part.length);
  }
  return Buffer.concat(parts);
}

test.each([
  [true, 1_000],
  [false, 70_000],
])('it gives pieces of every size back in order (owns %p)', (ownsBuffers, step) => {
  const queue = new ByteQueue({ ownsBuffers });
  const pieces = [1, 100, 20_000, 5, 0, 16_384, 9_000, 9_000, 300_000, 2].map((size, index) =>
    Buffer.alloc(size, index + 1),
  );
  const expected = Buffer.concat(pieces);
  for (const piece of pieces) {
    queue.push(Buffer.from(piece));
  }
  expect(queue.length).toBe(expected.length);
  expect(contentOf(queue, step).equals(expected)).toBe(true);
  expect([queue.length, queue.head()]).toEqual([0, undefined]);
});

test('a small part of a large buffer does not keep the buffer', () => {
  const queue = new ByteQueue({ ownsBuffers: false });
  queue.push(Buffer.alloc(1024 * 1024).subarray(0, 20_000));
  expect(queue.head()?.buffer.byteLength).toBe(20_000);
});

test('what it does not own may be reused as soon as it was pushed', () => {
  const queue = new ByteQueue({ ownsBuffers: false });
  const bytes = Buffer.alloc(50_000, 1);
  queue.push(bytes);
  bytes.fill(2);
  expect(queue.head()?.every((byte) => byte === 1)).toBe(true);
});

test('single bytes are kept together', () => {
  const queue = new ByteQueue({ ownsBuffers: false });
  for (let at = 0; at < 1_000; at += 1) {
    queue.push(Uint8Array.of(at & 255));
  }
  expect(queue.head()).toHaveLength(1_000);
});

test('memory that it owns is freed as soon as it is used up', () => {
  const queue = new ByteQueue({ ownsBuffers: true });
  const bytes = new Uint8Array(100_000);
  queue.push(bytes);
  queue.drop(99_999);
  expect(bytes.byteLength).toBe(100_000);
  queue.drop(1);
  expect(bytes.byteLength).toBe(0);
});
