import { describe, expect, test } from 'bun:test';
import { restClient } from '../../../src/control-plane/rest/client.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { systemRandom } from '../../../src/platform/random.ts';
import { REST_BODY_LIMIT_BYTES } from '../../../src/protocol/rest.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { makeCertificates } from '../../support/tls.ts';

const TOKEN = 'the-control-plane-token';
const never = new AbortController().signal;

function serve(handler: (request: Request) => Response | Promise<Response>, tls?: object) {
  return Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    development: false,
    ...(tls === undefined ? {} : { tls }),
    fetch: handler,
  });
}

const clientFor = (baseUrl: string, options: { ca?: string; token?: string | null } = {}) =>
  restClient(
    {
      clock: manualClock('2026-01-01T00:00:00.000Z'),
      random: systemRandom,
      http: systemHttp,
      token: async () => (options.token === null ? undefined : (options.token ?? TOKEN)),
    },
    { baseUrl, version: '1.2.3', ca: options.ca },
  );

async function failureFor(response: () => Response): Promise<unknown> {
  await using server = serve(response);
  // Awaited here: the server ends with this function.
  return await clientFor(`http://127.0.0.1:${server.port}`)
    .commands('agent', never)
    .then(
      () => 'no failure',
      (error) => ({ code: error.code, details: error.details }),
    );
}

test('a call carries token, version and body, and nothing else is asked', async () => {
  const seen: unknown[] = [];
  await using server = serve(async (request) => {
    const { pathname } = new URL(request.url);
    const header = (name: string) => request.headers.get(name);
    seen.push([request.method, pathname, header('authorization'), header('user-agent')]);
    return Response.json({ commands: null });
  });
  const client = clientFor(`http://127.0.0.1:${server.port}/`);
  expect(await client.commands('a/b', never)).toEqual([]);
  await client.health(never);
  expect(seen).toEqual([
    ['GET', '/api/v1/agents/a%2Fb/commands', `Bearer ${TOKEN}`, 'PipeOps-Agent/1.2.3'],
    ['GET', '/api/v1/health', null, 'PipeOps-Agent/1.2.3'],
  ]);
});

describe('an answer that is no success', () => {
  test.each([
    ['401', () => new Response('', { status: 401 }), 'TOKEN_REJECTED', { status: 401 }],
    ['403', () => new Response('', { status: 403 }), 'TOKEN_REJECTED', { status: 403 }],
    ['404', () => new Response('', { status: 404 }), 'NOT_FOUND', { status: 404 }],
    ['500', () => new Response('', { status: 500 }), 'CONTROL_PLANE_ERROR', { status: 500 }],
    [
      '429 with seconds',
      () => new Response('', { status: 429, headers: { 'retry-after': '7' } }),
      'CONTROL_PLANE_ERROR',
      { status: 429, retryAfterMs: 7_000 },
    ],
    [
      '503 with a date',
      () =>
        new Response('', {
          status: 503,
          headers: { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' },
        }),
      'CONTROL_PLANE_ERROR',
      { status: 503, retryAfterMs: 30_000 },
    ],
    [
      'a redirect, which the token must not follow',
      () => Response.redirect('http://192.0.2.1/', 302),
      'CONTROL_PLANE_ERROR',
      { status: 302 },
    ],
    ['no JSON', () => new Response('<html>'), 'CONTROL_PLANE_ERROR', undefined],
    ['another document', () => Response.json({ commands: 7 }), 'CONTROL_PLANE_ERROR', undefined],
    [
      'more than the limit',
      () => new Response('x'.repeat(REST_BODY_LIMIT_BYTES + 1)),
      'CONTROL_PLANE_ERROR',
      undefined,
    ],
  ])('%s has its code', async (_, response, code, details) => {
    expect(await failureFor(response)).toEqual({ code, details });
  });

  test('does not repeat the token that it was told', async () => {
    await using server = serve(() => new Response(`no ${TOKEN}`, { status: 500 }));
    const calling = clientFor(`http://127.0.0.1:${server.port}`).commands('agent', never);
    await expect(calling).rejects.toMatchObject({
      message: 'GET /api/v1/agents/agent/commands was answered 500: no [redacted]',
    });
  });
});

describe('no answer', () => {
  test('says that connections are refused', async () => {
    const server = serve(() => new Response());
    const url = `http://127.0.0.1:${server.port}`;
    await server.stop(true);
    await expect(clientFor(url).health(never)).rejects.toMatchObject({
      code: 'CONTROL_PLANE_UNREACHABLE',
      message: expect.stringContaining('it refuses connections'),
    });
  });

  test('says that a name cannot be resolved', async () => {
    await expect(clientFor('https://nowhere.invalid').health(never)).rejects.toMatchObject({
      code: 'CONTROL_PLANE_UNREACHABLE',
    });
  });

  test('of a private CA hints at --ca-file, and the CA makes it work', async () => {
    const { ca, cert, key } = await makeCertificates(['127.0.0.1']);
    await using server = serve(() => Response.json({}), { cert, key });
    const url = `https://127.0.0.1:${server.port}`;
    await expect(clientFor(url).health(never)).rejects.toMatchObject({
      code: 'CONTROL_PLANE_UNREACHABLE',
      message: `Cannot reach 127.0.0.1:${server.port}: its certificate is of an authority that is not trusted here`,
      hint: 'If it uses a private CA, name its certificate with --ca-file (PIPEOPS_CA_FILE)',
    });
    const another = (await makeCertificates(['127.0.0.1'])).ca;
    await expect(clientFor(url, { ca: another }).health(never)).rejects.toMatchObject({
      code: 'CONTROL_PLANE_UNREACHABLE',
      hint: 'control_plane.ca_file holds another authority: give the right one with --ca-file (PIPEOPS_CA_FILE)',
    });
    await clientFor(url, { ca }).health(never);
  });

  test('is INTERRUPTED when the caller gave up', async () => {
    await using server = serve(() => Response.json({}));
    const url = `http://127.0.0.1:${server.port}`;
    const calling = clientFor(url).health(AbortSignal.abort());
    await expect(calling).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

test('without a token nothing is sent', async () => {
  const requests: string[] = [];
  await using server = serve((request) => {
    requests.push(request.url);
    return Response.json({});
  });
  const client = clientFor(`http://127.0.0.1:${server.port}`, { token: null });
  await expect(client.commands('agent', never)).rejects.toMatchObject({ code: 'TOKEN_REJECTED' });
  expect(requests).toEqual([]);
});
