import { describe, expect, test } from 'bun:test';
import { RESULT_LIMIT_BYTES, resultOfOutcome } from '../../../src/commands/engine/result.ts';

const TIMES = {
  attempts: 1,
  startedAt: null,
  finishedAt: new Date('2026-01-01T00:00:00.000Z'),
  durationMs: 5,
};

describe('resultOfOutcome()', () => {
  test('leaves out data that no message could carry, and says so', () => {
    const data = { text: 'x'.repeat(RESULT_LIMIT_BYTES) };
    const { data: left, metadata } = resultOfOutcome({ output: 'done', data }, TIMES);
    expect({ left, truncated: metadata.truncated }).toEqual({
      left: { left_out_bytes: RESULT_LIMIT_BYTES + 11 },
      truncated: true,
    });
  });

  test('fits into a message when every character of the output is escaped', () => {
    const output = '\u0001'.repeat(2_000_000);
    const result = resultOfOutcome({ output, data: {} }, TIMES);
    expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThanOrEqual(RESULT_LIMIT_BYTES);
  });

  test('leaves the data whole when only the output is too long', () => {
    const data = { pods: [{ pod: 'web-1' }] };
    const result = resultOfOutcome({ output: '\u0001'.repeat(2_000_000), data }, TIMES);
    expect({ data: result.data, truncated: result.metadata.truncated }).toEqual({
      data,
      truncated: true,
    });
  });

  test('shows no secret in data, wherever it stands', () => {
    const secret = 'a "quoted" secret';
    const data = { list: [{ text: `is ${secret}` }] };
    expect(resultOfOutcome({ output: '', data }, TIMES, [secret]).data).toEqual({
      list: [{ text: 'is [redacted]' }],
    });
  });
});
