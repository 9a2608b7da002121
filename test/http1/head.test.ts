import { expect, test } from 'bun:test';
import { AgentError } from '../../src/core/errors.ts';
import {
  encodeLines,
  encodeRequestHead,
  encodeResponseHead,
  parseHeaderLine,
  parseRequestHead,
  parseResponseHead,
} from '../../src/http1/head.ts';
import { failureOf } from '../support/failure-of.ts';

/** Each low byte several times, also with what no byte is: U+010A, U+D80A. */
const CHARACTERS = [0x0000, 0x0100, 0x0200, 0x2000, 0xd800, 0xff00].flatMap((first) =>
  Array.from({ length: 0x100 }, (_, low) => String.fromCharCode(first + low)),
);
const isText = (code: number) => code === 0x09 || (code >= 0x20 && code <= 0xff && code !== 0x7f);

/** Whether it can be encoded; what can must be read again as it was. */
function isEncoded(encode: () => Buffer): boolean {
  try {
    encode();
    return true;
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(AgentError);
    return false;
  }
}

test.each([
  ['a value of a request', (text: string) => encodeRequestHead('GET', '/', [['X', `a${text}b`]])],
  [
    'a value of an answer',
    (text: string) => encodeResponseHead({ status: 200, reason: '', headers: [['X', text]] }),
  ],
  ['a reason', (text: string) => encodeResponseHead({ status: 200, reason: text, headers: [] })],
  ['a trailer', (text: string) => encodeLines('0', [['X', text]])],
])('%s is made of bytes that end no line, and of nothing else', (_, encode) => {
  const taken = CHARACTERS.filter((character) => isEncoded(() => encode(character)));
  expect(taken).toEqual(CHARACTERS.filter((character) => isText(character.charCodeAt(0))));
});

test.each([
  ['a method', (text: string) => encodeRequestHead(`G${text}`, '/', [])],
  ['a path', (text: string) => encodeRequestHead('GET', `/${text}`, [])],
  ['a name in a request', (text: string) => encodeRequestHead('GET', '/', [[`X${text}`, '']])],
  [
    'a name in an answer',
    (text: string) => encodeResponseHead({ status: 200, reason: '', headers: [[`X${text}`, '']] }),
  ],
  ['the name of a trailer', (text: string) => encodeLines('0', [[`X${text}`, '']])],
])('%s is made of visible ASCII at most', (_, encode) => {
  const taken = CHARACTERS.filter((character) => isEncoded(() => encode(character)));
  expect(taken.every((character) => character > ' ' && character < '\x7f')).toBe(true);
  expect(taken.length).toBeGreaterThan(60);
});

test('characters of which the low bytes are a line break make no header', async () => {
  const error = await failureOf(async () =>
    encodeRequestHead('GET', '/version', [['X-A', 'a\u010d\u010aTransfer-Encoding: chunked']]),
  );
  expect(error).toMatchObject({ code: 'PROXY_REQUEST_INVALID' });
});

test.each([0x00, 0x01, 0x0a, 0x0b, 0x0d, 0x1b, 0x7f])(
  'byte %d is read in no header and in no reason',
  (code) => {
    const byte = String.fromCharCode(code);
    expect(() => parseHeaderLine(`X: a${byte}b`)).toThrow();
    expect(() => parseResponseHead(`HTTP/1.1 200 a${byte}b`)).toThrow();
  },
);

test('a value loses the spaces and tabs around it, and no other byte', () => {
  const bytes = Buffer.from('voilà').toString('latin1'); // Ends in A0, a space to JavaScript.
  expect(parseHeaderLine(`X: \t ${bytes}\t `)).toEqual(['X', bytes]);
  expect(parseHeaderLine('X: \t ')).toEqual(['X', '']);
});

test.each([
  ['a bare line feed', 'GET / HTTP/1.1\nX: y'],
  ['a bare carriage return', 'GET / HTTP/1.1\r\nX: a\rY: b'],
  ['a folded line', 'GET / HTTP/1.1\r\nX: a\r\n b'],
  ['a space before a colon', 'GET / HTTP/1.1\r\nX : a'],
  ['a header without a name', 'GET / HTTP/1.1\r\n: a'],
  ['a header without a colon', 'GET / HTTP/1.1\r\nX'],
  ['two spaces before the path', 'GET  / HTTP/1.1'],
  ['something behind the version', 'GET / HTTP/1.1 '],
  ['another version', 'GET / HTTP/2.0'],
  ['a path that is not ASCII', 'GET /\xe4 HTTP/1.1'],
])('%s makes a head unreadable', (_, head) => {
  expect(() => parseRequestHead(head)).toThrow(/^its first line|^it has a header/);
});
