import { describe, expect, test } from 'bun:test';
import { systemClock } from '../../src/platform/clock.ts';
import { JSON_PARTS_MAX, parseBoundedJson } from '../../src/protocol/bounded-json.ts';
import { MANIFEST_LIMIT_BYTES } from '../../src/protocol/commands/apply.ts';
import {
  JSON_REST_CHARS_MAX,
  parseLongJson,
  SHORT_JSON_CHARS_MAX,
} from '../../src/protocol/long-json.ts';
import { seededRandom } from '../support/seeded-random.ts';

const parse = (text: string) => parseLongJson({ clock: systemClock }, text);

/** Every kind of character that JSON writes in its own way, at every place of a piece. */
const ODD = 'a"\\\u0000\u001f\n/é日😀\ud800\udc00\udfff\u2028';

describe('parseLongJson()', () => {
  test.each([
    ['a manifest of YAML', 'line: "text"\n'.repeat(MANIFEST_LIMIT_BYTES / 13)],
    ['nothing but escapes', '"'.repeat(MANIFEST_LIMIT_BYTES)],
    ['every odd character', ODD.repeat(100_000)],
    ['odd characters one place on', `x${ODD.repeat(100_000)}`],
  ])('reads %s', async (_, manifest) => {
    const value = { type: 'command', payload: { id: 'x', all: [manifest, 'short', { manifest }] } };
    expect(Bun.deepEquals((await parse(JSON.stringify(value))).value, value)).toBe(true);
    const escaped = JSON.stringify(value).replaceAll(
      /[^\x20-\x7e]/g,
      (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    expect(Bun.deepEquals((await parse(escaped)).value, value)).toBe(true);
  });

  test('reads short and long texts as the short reader does', async () => {
    const random = seededRandom(7);
    const below = (max: number) => Math.floor(random.fraction() * max);
    const madeOf = (depth: number): unknown => {
      const kind = depth > 4 ? below(4) : below(6);
      const makes = [
        () => ODD.repeat(below(20_000)),
        () => below(1_000),
        () => null,
        () => ODD.slice(below(5)),
        () => Array.from({ length: below(4) }, () => madeOf(depth + 1)),
        () => Object.fromEntries([1, 2, 3].map((n) => [`${n}${ODD}`, madeOf(depth + 1)])),
      ];
      return makes[kind]?.();
    };
    for (let round = 0; round < 30; round += 1) {
      const text = JSON.stringify([madeOf(0), madeOf(0), ' '.repeat(SHORT_JSON_CHARS_MAX)]);
      const wanted = parseBoundedJson(text);
      const got = await parse(text);
      // Where NUL stands in a short text beside a long one the long reader refuses.
      const isEqual = got.problem?.includes('NUL') === true || Bun.deepEquals(got, wanted);
      expect(isEqual).toBe(true);
    }
  });

  const filler = ' '.repeat(SHORT_JSON_CHARS_MAX);
  const long = JSON.stringify('x'.repeat(SHORT_JSON_CHARS_MAX));
  const partsOf = (count: number) => `[${long},${'1,'.repeat(count - 2)}1]`;
  test.each([
    ['a text that ends in a string', `{"a":"${filler}`, 'it is not JSON'],
    ['a text that ends in an escape', `{"a":"${filler}\\`, 'it is not JSON'],
    ['a line break within a string', `{"a":"${filler}\n"}`, 'it is not JSON'],
    ['an unknown escape', `{"a":"${filler}\\x"}`, 'it is not JSON'],
    ['half an escape', `{"a":"${filler}\\u12"}`, 'it is not JSON'],
    ['what stands behind the value', `{"a":"${filler}"} x`, 'it is not JSON'],
    [
      'a stand-in of the sender',
      `{"a":"\\u00000","b":"${filler}"}`,
      'it has NUL beside its long strings',
    ],
    ['too many parts', partsOf(JSON_PARTS_MAX + 1), `it has more than ${JSON_PARTS_MAX} parts`],
    [
      'too many strings',
      `[${long}${',"a"'.repeat(2 * JSON_PARTS_MAX)}]`,
      `it has more than ${JSON_PARTS_MAX} parts`,
    ],
    [
      'too much beside its long strings',
      `[${long},"a"${' '.repeat(JSON_REST_CHARS_MAX)}]`,
      `it has more than ${JSON_REST_CHARS_MAX} characters beside its long strings`,
    ],
  ])('refuses %s', async (_, text, problem) => {
    expect(await parse(text)).toEqual({ problem });
  });

  test('takes as many parts, and as much beside long strings, as there may be', async () => {
    expect((await parse(partsOf(JSON_PARTS_MAX))).problem).toBeUndefined();
    const text = `[${long},"a"${' '.repeat(JSON_REST_CHARS_MAX - 6)}]`;
    expect((await parse(text)).problem).toBeUndefined();
  });
});
