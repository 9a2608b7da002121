import { expect, test } from 'bun:test';
import type { z } from 'zod';
import { readEnvelope } from '../../../src/protocol/session/envelope.ts';
import { Envelope } from '../../../src/protocol/session/messages.ts';
import { ProxyRequestPayload } from '../../../src/protocol/session/proxy.ts';
import { readProxyRequest } from '../../../src/protocol/session/read-proxy-request.ts';
import { JSON_VALUES, jsonObjects } from '../../support/json-objects.ts';

/** So many of them must be right, or nothing was compared. */
const RIGHT_MIN = 50;

/** As JSON; all others are flags. */
const USUAL: Readonly<Record<string, string>> = {
  method: '"GET"',
  path: '"/api"',
  query: '"a=b"',
  headers: '{"A": ["b"], "C": "d", "E": null}',
  body: '{"a": 1}',
  body_encoding: '"BASE64"',
  body_size: '3',
  namespace: '"n"',
  service_name: '"s"',
  service_port: '80',
  scheme: '"https"',
  protocol: '"p"',
  timeout: '"1m0.5s"',
  deadline: '"2026-02-28T00:00:00.123456789Z"',
};

/** What the schema says, in the readers' words. */
function outcome<T>(schema: z.ZodType<T>, value: unknown): T | string {
  const { data, error } = schema.safeParse(value);
  return error === undefined
    ? (data as T) // Without an error there is data.
    : error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}

test('readProxyRequest makes of everything what the schema makes of it', () => {
  const any = Object.keys(ProxyRequestPayload.shape).map(
    (key) => [key, USUAL[key] ?? 'true'] as const,
  );
  const usual = { ...Object.fromEntries(any), unknown: '1', ['__proto__']: '1' };
  let taken = 0;
  for (const text of jsonObjects(usual)) {
    const read = readProxyRequest(JSON.parse(text));
    expect({ text, read }).toEqual({ text, read: outcome(ProxyRequestPayload, JSON.parse(text)) });
    taken += typeof read === 'string' ? 0 : 1;
  }
  expect(taken).toBeGreaterThan(RIGHT_MIN);
});

test('readEnvelope makes of everything what the schema makes of it', () => {
  const usual = { type: '"ping"', payload: '{"a": 1}', request_id: '"r"', timestamp: 'null' };
  let taken = 0;
  for (const text of [
    ...JSON_VALUES,
    ...jsonObjects({ ...usual, unknown: '1', ['__proto__']: '1' }),
  ]) {
    const read = readEnvelope(JSON.parse(text));
    expect({ text, read }).toEqual({ text, read: outcome(Envelope, JSON.parse(text)) });
    taken += typeof read === 'string' ? 0 : 1;
  }
  expect(taken).toBeGreaterThan(RIGHT_MIN);
});
