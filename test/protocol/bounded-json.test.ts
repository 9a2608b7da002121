import { expect, test } from 'bun:test';
import {
  JSON_DEPTH_MAX,
  JSON_ESCAPES_MAX,
  JSON_PARTS_MAX,
  parseBoundedJson,
} from '../../src/protocol/bounded-json.ts';
import { seededRandom } from '../support/seeded-random.ts';

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const keys = (count: number) =>
  `{${Array.from({ length: count }, (_, at) => `"k${at}":1`).join(',')}}`;
const escapes = (count: number) => `"${'\\n'.repeat(count)}"`;

test.each([
  ['a string of 4 MiB', JSON.stringify('x'.repeat(4 * 1024 * 1024))],
  ['brackets, quotes and commas in a string', JSON.stringify('[{"a":"\\'.repeat(50_000))],
  ['the deepest', nested(JSON_DEPTH_MAX)],
  ['as many parts as there may be', keys(JSON_PARTS_MAX / 2)],
  ['as many escapes as there may be', escapes(JSON_ESCAPES_MAX)],
])('%s is read', (_what, text) => {
  expect(parseBoundedJson(text)).toEqual({ value: JSON.parse(text) });
});

test.each([
  ['nested deeper', nested(JSON_DEPTH_MAX + 1), 'it is nested more than 200 deep'],
  ['nested 2 million deep', nested(2_000_000), 'it is nested more than 200 deep'],
  ['more parts', keys(JSON_PARTS_MAX / 2 + 1), 'it has more than 20000 parts'],
  ['more escapes', escapes(JSON_ESCAPES_MAX + 1), 'it has more than 600000 escapes'],
  ['no JSON', '{"secret":', 'it is not JSON'],
  ['an open string', '"\\', 'it is not JSON'],
  ['an open string without escapes', '{"a":"b', 'it is not JSON'],
  ['two million strings and nothing between', '""'.repeat(2_000_000), 'it is not JSON'],
])('%s is refused before it costs anything', (_what, text, problem) => {
  expect(parseBoundedJson(text)).toEqual({ problem });
});

test('what is in strings does not count, whatever it is', () => {
  const random = seededRandom(1);
  const characters = [...'"\\[]{},:n\n💥x'];
  const string = () =>
    Array.from(
      { length: Math.floor(random.fraction() * 8) },
      () => characters[Math.floor(random.fraction() * characters.length)],
    ).join('');
  const few = Array.from({ length: 500 }, string);
  const many = (count: number) => Array.from({ length: count }, (_, at) => few[at % few.length]);
  const most = many(JSON_PARTS_MAX); // A bracket, and commas between.
  expect(parseBoundedJson(JSON.stringify(most))).toEqual({ value: most });
  expect(parseBoundedJson(JSON.stringify(many(JSON_PARTS_MAX + 1)))).toEqual({
    problem: 'it has more than 20000 parts',
  });
});
