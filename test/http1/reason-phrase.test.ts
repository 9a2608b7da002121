import { expect, test } from 'bun:test';
import { STATUS_CODES } from 'node:http';
import { reasonPhrase } from '../../src/http1/reason-phrase.ts';

test('a status is called as everybody calls it, or not at all', () => {
  const called = Object.keys(STATUS_CODES).filter((status) => reasonPhrase(Number(status)) !== '');
  expect(called.map((status) => reasonPhrase(Number(status)))).toEqual(
    called.map((status) => STATUS_CODES[status] ?? ''),
  );
  expect(called).toContain('421');
  expect(reasonPhrase(299)).toBe('');
});
