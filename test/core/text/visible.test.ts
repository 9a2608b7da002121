import { expect, test } from 'bun:test';
import { visibleLine, visibleText } from '../../../src/core/text/visible.ts';

test('a text keeps its lines, tabs and letters, and shows what a terminal would obey', () => {
  expect(visibleText('Zürich 日本 😀\r\n\tb\rc\x1b[31m\x9b\x7f\u202e\u2066\u200f')).toBe(
    'Zürich 日本 😀\r\n\tb\\u000dc\\u001b[31m\\u009b\\u007f\\u202e\\u2066\\u200f',
  );
});

test('no control character of ASCII, Latin-1 or the direction of writing is left', () => {
  const all = Array.from({ length: 0x3000 }, (_, code) => `${String.fromCharCode(code)}.`).join('');
  const controls = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
  expect(visibleText(all).match(controls)).toEqual(['\t', '\n']);
  expect(visibleLine(all)).not.toMatch(controls);
});

test('a document of JSON means the same afterwards', () => {
  const value = { 'a\x7f\u202e': ['\0\x1b\x85\n\t\r\n', '😀\u2069'] };
  expect(JSON.parse(visibleText(JSON.stringify(value, null, 2)))).toEqual(value);
});

test('a secret with such a character in it is not made whole', () => {
  expect(visibleText('ghp_\u200eabc')).not.toContain('ghp_abc');
});
