import { expect, test } from 'bun:test';
import type { z } from 'zod';
import { Envelope } from '../../src/protocol/messages.ts';
import {
  METHOD_LENGTH_MAX,
  PATH_LENGTH_MAX,
  ProxyRequestPayload,
  QUERY_LENGTH_MAX,
} from '../../src/protocol/proxy-messages.ts';
import { readEnvelope } from '../../src/protocol/read-envelope.ts';
import { readProxyRequest } from '../../src/protocol/read-proxy-request.ts';
import { seededRandom } from '../support/seeded-random.ts';

const ROUNDS = 4_000;
const SEED = 1;
/** So many of them must be right, or nothing was compared. */
const RIGHT_MIN = 100;

/** As JSON: numbers and keys that no literal here would have are possible there. */
const VALUES = [
  ...['null', 'true', 'false', '0', '-0', '-1', '7', '1.5', '1e999', '9007199254740993', '""'],
  ...['"GET"', '"/"', '"/api/v1/pods"', '"api"', '"30s"', '"base64"', '"\\ud800"', '"💥"'],
  ...['[]', '[1]', '["a", "b"]', '{}', '{"a": {"b": [null]}}'],
  '{"Accept": ["a", "b", 1, null], "Host": "h", "X": 3, "constructor": "c", "__proto__": ["p"]}',
  '{"__proto__": {"a": 1}}',
  '{"constructor": 1, "hasOwnProperty": 2, "toString": null}',
  ...[METHOD_LENGTH_MAX, PATH_LENGTH_MAX, QUERY_LENGTH_MAX, 64, 256].flatMap((max) => [
    JSON.stringify('/'.repeat(max)),
    JSON.stringify('/'.repeat(max + 1)),
  ]),
];

/** Mostly a few fields, as in life; the first keys are there more often. */
function* objects(keys: readonly string[]): Generator<string> {
  const random = seededRandom(SEED);
  const below = (limit: number) => Math.floor(random.fraction() * limit);
  for (let round = 0; round < ROUNDS; round += 1) {
    const share = random.fraction();
    const fields = keys
      .filter((_, at) => random.fraction() < (at < 2 ? 0.9 : share / 2))
      .map((key) => `${JSON.stringify(key)}: ${VALUES[below(VALUES.length)]}`);
    yield `{${fields.join(', ')}}`;
  }
}

/** What the schema says, in the readers' words. */
function outcome<T>(schema: z.ZodType<T>, value: unknown): T | string {
  const { data, error } = schema.safeParse(value);
  return error === undefined
    ? (data as T) // Without an error there is data.
    : error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}

test('readProxyRequest makes of everything what the schema makes of it', () => {
  const keys = ['path', ...Object.keys(ProxyRequestPayload.shape), 'unknown', '__proto__'];
  let taken = 0;
  for (const text of objects(keys)) {
    const read = readProxyRequest(JSON.parse(text));
    expect({ text, read }).toEqual({ text, read: outcome(ProxyRequestPayload, JSON.parse(text)) });
    taken += typeof read === 'string' ? 0 : 1;
  }
  expect(taken).toBeGreaterThan(RIGHT_MIN);
});

test('readEnvelope makes of everything what the schema makes of it', () => {
  const keys = ['type', 'payload', 'request_id', 'timestamp', 'unknown', '__proto__'];
  let taken = 0;
  for (const text of [...VALUES, ...objects(keys)]) {
    const read = readEnvelope(JSON.parse(text));
    expect({ text, read }).toEqual({ text, read: outcome(Envelope, JSON.parse(text)) });
    taken += typeof read === 'string' ? 0 : 1;
  }
  expect(taken).toBeGreaterThan(RIGHT_MIN);
});
