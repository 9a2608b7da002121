import { describe, expect, test } from 'bun:test';
import { restCall } from '../../../src/control-plane/rest/call.ts';
import { retryAfterMs } from '../../../src/control-plane/session/pace.ts';
import { readCommand } from '../../../src/control-plane/session/read-command.ts';
import { parseBoundedJson } from '../../../src/protocol/bounded-json.ts';
import { readEnvelope } from '../../../src/protocol/session/envelope.ts';
import { ErrorPayload, RegisterSuccessPayload } from '../../../src/protocol/session/messages.ts';
import { failureOf } from '../../support/failure-of.ts';
import { manualClock } from '../../support/manual-clock.ts';

function parseEnvelope(text: string) {
  const json = parseBoundedJson(text);
  return json.problem ?? readEnvelope(json.value);
}

const never = new AbortController().signal;
const PAGE = '<!DOCTYPE html><html><title>Access denied</title></html>';

/** How a call ends that is answered so. */
function callAnswered(status: number, body: string, headers: Record<string, string>) {
  return failureOf(() =>
    restCall(
      {
        clock: manualClock(),
        http: async () => new Response(body, { status, headers }),
        token: async () => 'token',
      },
      { baseUrl: 'https://cp.test', version: '1', ca: undefined },
      { method: 'GET', path: '/x', timeoutMs: 1_000, authorized: true },
      never,
    ),
  );
}

describe('what stands before a control plane is understood, or named', () => {
  test.each([
    ['120', 120_000],
    ['120.5', 120_500],
    [' 7. ', 7_000],
    ['2m', 120_000],
    ['1m30.5s', 90_500],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['1e9', undefined],
    ['soon', undefined],
    ['', undefined],
    [`${'9'.repeat(1_000)}`, 600_000],
  ])('Retry-After: %s', (header, pauseMs) => {
    expect(retryAfterMs(manualClock(), header)).toBe(pauseMs);
  });

  test.each([
    [{ 'content-type': 'text/html; charset=UTF-8', 'cf-ray': '8a' }, 'Cloudflare'],
    [{ 'content-type': 'text/html', server: 'AkamaiGHost' }, 'Akamai'],
    [{ 'content-type': 'text/html', server: 'awselb/2.0' }, 'AWS Elastic Load Balancing'],
    [{ 'x-squid-error': 'ERR_ACCESS_DENIED 0' }, 'the proxy Squid'],
    [{ via: '1.1 gate.corp' }, 'a proxy (1.1 gate.corp)'],
    [{ server: 'nginx' }, 'something before it (nginx)'],
    [{}, 'something before it'],
  ])('a page with 403 and %p is not about the token', async (headers, sender) => {
    const error = await callAnswered(403, PAGE, headers);
    expect([error.code, error.message]).toEqual([
      'CONTROL_PLANE_ERROR',
      `GET /x was answered 403 with a page, by ${sender}: not by the control plane`,
    ]);
  });

  test.each([
    [401, PAGE, { 'content-type': 'text/html' }],
    [401, '', {}],
    [403, '{"error":"token"}', { 'content-type': 'application/json' }],
  ])('an answer %d %s is about the token', async (status, body, headers) => {
    expect((await callAnswered(status, body, headers)).code).toBe('TOKEN_REJECTED');
  });

  test('a page with another status asks for its pause', async () => {
    const headers = { 'content-type': 'text/html', 'retry-after': '2.5' };
    const { code, details } = await callAnswered(503, PAGE, headers);
    expect([code, details]).toEqual(['CONTROL_PLANE_ERROR', { status: 503, retryAfterMs: 2_500 }]);
  });
});

describe('what servers in other languages send is understood', () => {
  test('JSON with the mark of UTF-8', () => {
    expect(parseEnvelope('\ufeff{"type":"ping"}')).toEqual({ type: 'ping' });
    expect(parseEnvelope('\ufeff\ufeff{"type":"ping"}')).toBe('it is not JSON');
  });

  test('ids that are numbers', () => {
    expect(parseEnvelope('{"type":"ping","request_id":7}')).toEqual({
      type: 'ping',
      request_id: '7',
    });
    const answer = RegisterSuccessPayload.parse({ cluster_id: 42, cluster_uuid: 43 });
    expect([answer.cluster_id, answer.cluster_uuid]).toEqual(['42', '43']);
    expect(readCommand({ id: 44, type: 'noop' })).toEqual({ id: '44', type: 'noop' });
    expect(readCommand({ id: 45, type: 7 })).toMatchObject({ id: '45', type: 'malformed' });
    expect(typeof readCommand({ id: 1.5, type: 'noop' })).toBe('string');
  });

  test('seconds that are texts', () => {
    expect(ErrorPayload.parse({ retry_after_seconds: '120.5' }).retry_after_seconds).toBe(120.5);
    expect(ErrorPayload.parse({ retry_after_seconds: 'x' }).retry_after_seconds).toBeUndefined();
  });
});
