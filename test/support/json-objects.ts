import {
  METHOD_LENGTH_MAX,
  PATH_LENGTH_MAX,
  QUERY_LENGTH_MAX,
} from '../../src/protocol/session/proxy.ts';
import { seededRandom } from './seeded-random.ts';

const ROUNDS = 4_000;
const SEED = 1;

/** How often a field has its usual value. */
const USUAL_SHARE = 0.7;

/** As JSON: numbers and keys that no literal here would have are possible there. */
export const JSON_VALUES = [
  ...['null', 'true', 'false', '0', '-0', '-1', '7', '1.5', '1e999', '9007199254740993', '""'],
  ...[
    '"2026-02-30T00:00:00Z"',
    '"2026-02-28T00:00:00.5+01:00"',
    '"gzip"',
    '"GET"',
    '"/"',
    '"/api/v1/pods"',
    '"api"',
    '"30s"',
    '"base64"',
    '"\\ud800"',
    '"💥"',
  ],
  ...['[]', '[1]', '["a", "b"]', '{}', '{"a": {"b": [null]}}'],
  '{"Accept": ["a", "b", 1, null], "Host": "h", "X": 3, "constructor": "c", "__proto__": ["p"]}',
  ...['{"__proto__": {"a": 1}}', '{"A": ["b"], "__proto__": ["c"]}', '{"A": ["b", 1]}'],
  '{"constructor": 1, "hasOwnProperty": 2, "toString": null}',
  ...[METHOD_LENGTH_MAX, PATH_LENGTH_MAX, QUERY_LENGTH_MAX, 64, 256].flatMap((max) => [
    JSON.stringify('/'.repeat(max)),
    JSON.stringify('/'.repeat(max + 1)),
  ]),
];

/**
 * Thousands of objects as JSON, the same ones each time: some have nearly all keys, some few.
 * @param usual of each key the value, as JSON, that it has mostly
 */
export function* jsonObjects(usual: Readonly<Record<string, string>>): Generator<string> {
  const random = seededRandom(SEED);
  const any = () => JSON_VALUES[Math.floor(random.fraction() * JSON_VALUES.length)];
  for (let round = 0; round < ROUNDS; round += 1) {
    const share = random.fraction();
    const fields = Object.entries(usual)
      .filter(() => random.fraction() < share)
      .map(([key, value]) => `"${key}": ${random.fraction() < USUAL_SHARE ? value : any()}`);
    yield `{${fields.join(', ')}}`;
  }
}
