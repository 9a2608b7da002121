import { expect, test } from 'bun:test';
import { parseHeaderLine, parseRequestHead } from '../../src/protocol/http-head.ts';

test('a value loses the spaces and tabs around it, and no other byte', () => {
  const bytes = Buffer.from('voilà').toString('latin1'); // Ends in A0, a space to JavaScript.
  expect(parseHeaderLine(`X: \t ${bytes}\t `)).toEqual(['X', bytes]);
  expect(parseHeaderLine('Content-Length: \x0b5\x0c')).toEqual(['Content-Length', '\x0b5\x0c']);
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
