import { expect, test } from 'bun:test';
import { readListPage } from '../../../src/kubernetes/api/list-page.ts';
import { failureOf } from '../../support/failure-of.ts';

const ITEMS = [
  { metadata: { name: 'quotes " and \\ and {[' }, spec: { containers: [{ ports: [{}] }] } },
  { metadata: { name: 'ünïcode €😀' } },
  {},
];
const METADATA = { resourceVersion: '7', continue: 'more' };

/** The text in chunks of so many bytes. */
function* chunks(text: string, size: number): Generator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let from = 0; from < bytes.length; from += size) {
    yield bytes.subarray(from, from + size);
  }
}

async function read(text: string, size: number) {
  const items: unknown[] = [];
  const end = await readListPage('/pods', chunks(text, size), (item) => void items.push(item));
  return { items, end };
}

test.each([1, 2, 3, 7, 10_000])(
  'readListPage() gives the objects, %i bytes at a time',
  async (size) => {
    const wanted = { items: ITEMS, end: { version: '7', next: 'more' } };
    const list = { kind: 'PodList', metadata: METADATA, items: ITEMS };
    expect(await read(JSON.stringify(list), size)).toEqual(wanted);
    expect(await read(JSON.stringify(list, null, 2), size)).toEqual(wanted);
    expect(await read(JSON.stringify({ items: ITEMS, metadata: METADATA }), size)).toEqual(wanted);
  },
);

test('readListPage() says that there is no next page', async () => {
  const list = { metadata: { resourceVersion: '7', continue: '' }, items: [] };
  expect(await read(JSON.stringify(list), 100)).toEqual({
    items: [],
    end: { version: '7', next: undefined },
  });
});

test.each([
  ['is cut off in an object', '{"metadata":{},"items":[{"a":1},{"b"'],
  ['is cut off between two', '{"metadata":{},"items":[{"a":1},'],
  ['is no JSON', 'upstream connect error'],
  ['has a broken object', '{"items":[{"a":}]}'],
  ['is empty', ''],
])('readListPage() refuses an answer that %s', async (_, text) => {
  const failure = await failureOf(() => read(text, 5));
  expect(failure).toMatchObject({ code: 'KUBERNETES_API' });
});

test('readListPage() refuses an object without end', async () => {
  const endless = function* () {
    yield new TextEncoder().encode('{"items":[{"a":"');
    for (;;) {
      yield new Uint8Array(1024 * 1024).fill(0x78);
    }
  };
  const failure = await failureOf(() => readListPage('/pods', endless(), () => undefined));
  expect(failure.message).toContain('an object is too long');
});
