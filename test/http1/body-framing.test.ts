import { expect, test } from 'bun:test';
import { requestBodyReader } from '../../src/http1/body-framing.ts';
import type { HeaderList } from '../../src/http1/head.ts';

interface Read {
  readonly body: string;
  readonly pieces: number;
  readonly trailers: HeaderList | undefined;
  readonly behind: string;
}

/** What is read of chunks that come in pieces of `cut` bytes. @throws as the reader does */
function readChunks(text: string, cut = text.length): Read {
  const reader = requestBodyReader('chunked');
  const bytes = Buffer.from(text, 'latin1');
  const pieces: string[] = [];
  let trailers: HeaderList | undefined;
  let behind = '';
  for (let at = 0; at < bytes.length && trailers === undefined; at += cut) {
    const rest = reader.read(bytes.subarray(at, at + cut), {
      data: (chunk) => pieces.push(chunk.toString('latin1')),
      end: (all) => {
        trailers = all;
      },
    });
    behind = rest?.toString('latin1') ?? '';
  }
  return { body: pieces.join(''), pieces: pieces.length, trailers, behind };
}

const EVENTS = '3\r\nabc\r\n1\r\n\r\r\nA\r\n0123456789\r\n2\r\n\r\n\r\n';
const LARGE = 'y'.repeat(20_000);

test.each([
  ['small chunks', `${EVENTS}0\r\n\r\n`, 'abc\r0123456789\r\n', []],
  ['extensions and zeros', '003;a="b"\r\nabc\r\n00002 \r\nde\r\n0\r\n\r\n', 'abcde', []],
  ['small and large ones', `1\r\na\r\n4e20\r\n${LARGE}\r\n1\r\nb\r\n0\r\n\r\n`, `a${LARGE}b`, []],
  [
    'trailers',
    '1\r\na\r\n0\r\nX-Sum: 9\r\nY: z\r\n\r\n',
    'a',
    [
      ['X-Sum', '9'],
      ['Y', 'z'],
    ],
  ],
  ['no bytes at all', '0\r\n\r\n', '', []],
] as const)('%s are the same however they are cut', (_, text, body, trailers) => {
  const whole = readChunks(`${text}GET`);
  expect(whole).toEqual({
    body,
    pieces: whole.pieces,
    trailers: trailers.map(([...pair]) => pair),
    behind: 'GET',
  });
  for (const cut of [1, 2, 3, 7, 4_096]) {
    const { body: same, trailers: too } = readChunks(text, cut);
    expect([same === body, too]).toEqual([true, whole.trailers]);
  }
});

test('small chunks of one read leave as one', () => {
  expect(readChunks(`${EVENTS.repeat(100)}0\r\n\r\n`).pieces).toBe(1);
});

test.each([
  ['a size that is no number', 'g\r\na\r\n'],
  ['no size', '\r\na\r\n'],
  ['a sign', '+1\r\na\r\n'],
  ['a line feed alone behind the size', '1\na\r\n'],
  ['a line feed alone behind the data', '1\r\na\n0\r\n\r\n'],
  ['more data than announced', '1\r\nab\r\n'],
  ['the same behind a good one', `${EVENTS}1\r\nab\r\n`],
  ['a size beyond all numbers', 'fffffffffffff\r\n'],
  ['a line that is too long', `1;${'x'.repeat(5_000)}\r\n`],
])('%s is refused however it is cut', (_, text) => {
  for (const cut of [text.length, 1, 2, 3]) {
    expect(() => readChunks(text, cut)).toThrow();
  }
});
