import { expect, test } from 'bun:test';
import { ProxyResponsePayload } from '../../../src/protocol/session/proxy.ts';
import { JSON_VALUES, jsonObjects } from '../json-objects.ts';
import { AgentEnvelope, describe, readEnvelope } from './envelope.ts';
import { wholeAnswer } from './whole-answer.ts';

/** So many of them must be right, or nothing was compared. */
const RIGHT_MIN = 100;

test('readEnvelope makes of everything what the schema makes of it', () => {
  const usual = { type: '"pong"', payload: '{"a": 1}', timestamp: '"2026-01-01T00:00:00Z"' };
  const maybe = { request_id: '"r"', unknown: '1', ['__proto__']: '1' };
  let right = 0;
  for (const text of [
    ...JSON_VALUES,
    ...jsonObjects(usual),
    ...jsonObjects({ ...usual, ...maybe }),
  ]) {
    const { data, error } = AgentEnvelope.safeParse(JSON.parse(text));
    const read = readEnvelope(JSON.parse(text));
    expect({ text, read }).toEqual({ text, read: error === undefined ? data : describe(error) });
    right += error === undefined ? 1 : 0;
  }
  expect(right).toBeGreaterThan(RIGHT_MIN);
});

test('wholeAnswer makes of everything what the schema makes of it', () => {
  const usual = { status: '200', headers: '{"A": ["b", "c"], "D": []}' };
  const maybe = { body: '""', encoding: '"base64"', unknown: '1', ['__proto__']: '1' };
  let right = 0;
  for (const text of [
    ...JSON_VALUES,
    ...jsonObjects(usual),
    ...jsonObjects({ ...usual, ...maybe }),
  ]) {
    const { data, error } = ProxyResponsePayload.safeParse(JSON.parse(text));
    const read = () => wholeAnswer(JSON.parse(text));
    if (error === undefined) {
      expect({ text, read: read() }).toEqual({ text, read: data });
      right += 1;
    } else {
      expect(read).toThrow(error);
    }
  }
  expect(right).toBeGreaterThan(RIGHT_MIN);
});
