import { describe, expect, test } from 'bun:test';
import { restClient } from '../../../src/control-plane/rest/client.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { systemRandom } from '../../../src/platform/random.ts';
import { MANIFEST_LIMIT_BYTES } from '../../../src/protocol/commands/apply.ts';
import { REST_BODY_LIMIT_BYTES } from '../../../src/protocol/rest.ts';
import { MESSAGE_LIMIT_BYTES } from '../../../src/protocol/session/messages.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { makeCertificates } from '../../support/tls.ts';
import { atRest, until } from '../../support/until.ts';

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

describe('commands with large manifests', () => {
  const command = (id: string, chars: number) => ({ id, payload: { manifest: '"'.repeat(chars) } });
  const fetched = async (answer: string) => {
    await using server = serve(() => new Response(answer));
    return await clientFor(`http://127.0.0.1:${server.port}`).commands('agent', never);
  };

  test('one of the largest is taken', async () => {
    const commands = [command('a', MANIFEST_LIMIT_BYTES), command('b', 1)];
    expect(Bun.deepEquals(await fetched(JSON.stringify({ commands })), commands)).toBe(true);
  });

  test('of more than are read at once those that are whole are taken', async () => {
    const commands = ['a', 'b', 'c', 'd'].map((id) => command(id, MANIFEST_LIMIT_BYTES / 3));
    const taken = await fetched(JSON.stringify({ next: {}, commands, more: [{}] }));
    expect(Bun.deepEquals(taken, commands.slice(0, 3))).toBe(true);
  });

  test('one that is larger than a message may be is refused', async () => {
    const answer = JSON.stringify({ commands: [command('a', MESSAGE_LIMIT_BYTES)] });
    expect(await failureFor(() => new Response(answer))).toEqual({
      ...{ code: 'CONTROL_PLANE_ERROR', details: undefined },
    });
  });
});

describe('a slow link', () => {
  const PIECE_BYTES = 64 * 1024;
  /** 256 kbit/s. */
  const PIECE_MS = PIECE_BYTES / 32;

  /** @returns what a fetch gives whose answer comes in so many pieces, and no more */
  async function fetchSlowly(pieces: number, isWhole: boolean) {
    const clock = manualClock('2026-01-01T00:00:00.000Z');
    const sent = Promise.withResolvers<ReadableStreamDefaultController<Uint8Array>>();
    await using server = serve(
      () => new Response(new ReadableStream({ start: (controller) => sent.resolve(controller) })),
    );
    const client = restClient(
      { clock, random: systemRandom, http: systemHttp, token: async () => TOKEN },
      { baseUrl: `http://127.0.0.1:${server.port}`, version: '1.2.3', ca: undefined },
    );
    let isOver = false;
    const fetching = client
      .commands('agent', never)
      .catch((error) => error.code)
      .finally(() => {
        isOver = true;
      });
    const controller = await sent.promise;
    const send = (text: string) => controller.enqueue(Buffer.from(text));
    send('{"commands":[{"text":"');
    for (let piece = 0; piece < pieces; piece += 1) {
      send('x'.repeat(PIECE_BYTES));
      await atRest(() => isOver);
      clock.advance(PIECE_MS);
    }
    if (isWhole) {
      send('"}]}');
      controller.close();
    }
    await until('it is over', async () => {
      clock.advance(isWhole ? 0 : PIECE_MS);
      return isOver;
    });
    return await fetching;
  }

  test('gives an answer the time that its bytes need', async () => {
    expect(await fetchSlowly(20, true)).toEqual([{ text: 'x'.repeat(20 * PIECE_BYTES) }]);
  });

  test('gives one that stops no more time', async () => {
    expect(await fetchSlowly(4, false)).toBe('CONTROL_PLANE_UNREACHABLE');
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
