/** How requests are told apart, refused and answered, whatever they ask for. */
import { beforeEach, expect, test } from 'bun:test';
import { Problem } from '../../../src/protocol/local-status.ts';
import {
  type AnswerRequest,
  type ApiRequest,
  apiAnswers,
} from '../../../src/server/api/answers.ts';
import { requestIds } from '../../../src/server/api/request-id.ts';
import type { ApiSources } from '../../../src/server/api/sources.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { NO_SOURCES } from '../../support/server-sources.ts';

const never = new AbortController().signal;
const LONG = 'x'.repeat(2_000);

let clock: ManualClock;
beforeEach(() => {
  clock = manualClock();
});

const answers = (more: Partial<ApiSources> = {}, log = memoryLog()): AnswerRequest =>
  apiAnswers({
    clock,
    log,
    sources: { ...NO_SOURCES, ...more },
    tokenFile: '/t',
    requestId: requestIds(clock),
  });

const asked = (target: string, more: Partial<ApiRequest> = {}): ApiRequest => ({
  ...{ method: 'GET', target, headers: [], isTrusted: true },
  ...more,
});

async function seen(answer: AnswerRequest, request: ApiRequest) {
  const { status, headers, body } = await answer(request, never);
  return {
    status,
    headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
    text: body.toString(),
  };
}

/** The problem that was answered, without what is different each time. */
async function problem(answer: AnswerRequest, request: ApiRequest) {
  const { status, headers, text } = await seen(answer, request);
  const { code, detail, request_id, ...body } = Problem.parse(JSON.parse(text));
  expect({ ...body, id: headers['x-request-id'] }).toMatchObject({
    type: 'about:blank',
    id: request_id,
    status,
    error: { code, message: detail },
  });
  expect(headers['content-type']).toBe('application/problem+json');
  return { status, code, detail, headers };
}

test('what is open is answered to everybody; for the rest a token is needed, whether or not it exists', async () => {
  const answer = answers();
  const stranger = { isTrusted: false };
  expect((await seen(answer, asked('/health?x=1', stranger))).text).toBe('{"status":"ok"}');
  for (const target of ['/api/settings', '/api/nothing', '/openapi.json']) {
    const { status, code, headers } = await problem(answer, asked(target, stranger));
    expect({ status, code, how: headers['www-authenticate'] }).toEqual({
      ...{ status: 401, code: 'LOCAL_TOKEN_REJECTED', how: 'Bearer' },
    });
  }
});

test('another path is 404, another method 405 with the methods that there are', async () => {
  const answer = answers();
  const other = async (method: string, target: string) => {
    const { status, code, headers } = await problem(answer, asked(target, { method }));
    return [status, code, headers['allow']];
  };
  expect(await other('GET', '/nothing')).toEqual([404, 'NOT_FOUND', undefined]);
  expect(await other('GET', '/api/nothing')).toEqual([404, 'NOT_FOUND', undefined]);
  expect(await other('GET', '/api/commands/a/b')).toEqual([404, 'NOT_FOUND', undefined]);
  expect(await other('DELETE', '/health')).toEqual([405, 'USAGE', 'GET, HEAD']);
  expect(await other('POST', '/api/commands')).toEqual([405, 'USAGE', 'GET, HEAD']);
  expect(await other('GET', '/api/commands/x/cancel')).toEqual([405, 'USAGE', 'POST']);
});

test('who has no token takes no turn of those who have it', async () => {
  const answer = answers();
  for (let count = 0; count < 400; count += 1) {
    await answer(asked('/api/settings', { isTrusted: false }), never);
  }
  expect((await seen(answer, asked('/api/settings'))).status).toBe(200);
});

test('an address that cannot be read is refused', async () => {
  const { status, code } = await problem(answers(), asked('@:x/health'));
  expect({ status, code }).toEqual({ status: 400, code: 'USAGE' });
});

test('a wrong parameter is told with its name, and one that is not known as well', async () => {
  const answer = answers();
  const { status, code, detail } = await problem(answer, asked('/api/commands?limit=0&colour=red'));
  expect({ status, code }).toEqual({ status: 400, code: 'USAGE' });
  expect(detail).toContain('limit: ');
  expect(detail).toContain('colour');
});

test('a part of the path is handed over decoded, and as it is where it cannot be', async () => {
  const ids: string[] = [];
  const commands = {
    ...NO_SOURCES.commands,
    find: (id: string) => {
      ids.push(id);
      return undefined;
    },
  };
  const answer = answers({ commands });
  for (const part of ['a%2Fb', '%zz']) {
    const { status, code } = await problem(answer, asked(`/api/commands/${part}`));
    expect({ status, code }).toEqual({ status: 404, code: 'NOT_FOUND' });
  }
  expect(ids).toEqual(['a/b', '%zz']);
});

test('a request keeps the id that its caller gave it, unless it is odd', async () => {
  const answer = answers();
  const id = async (given: string) => {
    const headers = [['X-Request-ID', given]] as const;
    return (await seen(answer, asked('/health', { headers }))).headers['x-request-id'];
  };
  expect(await id('trace-1.a:b')).toBe('trace-1.a:b');
  const own = [await id('a b'), await id('y'.repeat(65)), await id('')];
  expect(new Set(own).size).toBe(3);
  expect(own.every((each) => /^[a-z0-9]+-\d+$/.test(each ?? ''))).toBeTrue();
});

test('the log has each request with its id, and without its query', async () => {
  const log = memoryLog();
  const headers = [['X-Request-Id', 'mine']] as const;
  await answers({}, log)(asked('/api/nothing?secret=1', { headers }), never);
  expect(log.entries).toEqual([
    {
      level: 'debug',
      message: 'answered a request',
      fields: {
        ...{ request_id: 'mine', method: 'GET', path: '/api/nothing', status: 404 },
        duration_ms: 0,
      },
    },
  ]);
});

test('what the caller has already is not sent again', async () => {
  const settings = { settings: { a: LONG } };
  const answer = answers({ settings: () => settings });
  const first = await seen(answer, asked('/api/settings'));
  const tag = first.headers['etag'] ?? '';
  const again = async (value: string) => {
    const headers = [['If-None-Match', value]] as const;
    const { status, text } = await seen(answer, asked('/api/settings', { headers }));
    return [status, text.length];
  };
  expect(await again(`"x", ${tag}`)).toEqual([304, 0]);
  expect(await again('"x"')).toEqual([200, first.text.length]);
  settings.settings.a = `${LONG}y`;
  expect(await again(tag)).toEqual([200, first.text.length + 1]);
});

test.each([
  ['gzip, deflate, br, zstd', 'zstd', Bun.zstdDecompressSync],
  ['gzip;q=0.5', 'gzip', Bun.gunzipSync],
  ['zstd;q=0, gzip', 'gzip', Bun.gunzipSync],
])('a long answer is packed for a caller that takes %s', async (accept, encoding, unpack) => {
  const answer = answers({ settings: () => ({ settings: { a: LONG } }) });
  const headers = [['Accept-Encoding', accept]] as const;
  const reply = await answer(asked('/api/settings', { headers }), never);
  expect(new Map(reply.headers).get('Content-Encoding')).toBe(encoding);
  const body = reply.body as Buffer;
  expect(body.length).toBeLessThan(200);
  const text = new TextDecoder().decode(unpack(new Uint8Array(body)));
  expect(JSON.parse(text)).toEqual({ settings: { a: LONG } });
});

test('a short answer is not packed, nor a long one for a caller that says nothing', async () => {
  const short = answers();
  const headers = [['Accept-Encoding', 'zstd']] as const;
  const packed = (await seen(short, asked('/api/settings', { headers }))).headers;
  const long = answers({ settings: () => ({ settings: { a: LONG } }) });
  const silent = (await seen(long, asked('/api/settings'))).headers;
  expect([packed['content-encoding'], silent['content-encoding']]).toEqual([undefined, undefined]);
});

test('callers that ask too much wait, while what is open goes on', async () => {
  const answer = answers();
  const codes = [];
  for (let count = 0; count < 302; count += 1) {
    codes.push((await answer(asked('/api/settings'), never)).status);
  }
  expect([codes.indexOf(429), codes.length]).toEqual([300, 302]);
  const { code, headers } = await problem(answer, asked('/api/settings'));
  expect([code, headers['retry-after']]).toEqual(['TOO_MANY_REQUESTS', '1']);
  const stranger = await seen(answer, asked('/api/settings', { isTrusted: false }));
  expect(stranger.status).toBe(401);
  expect((await seen(answer, asked('/health'))).status).toBe(200);
  clock.advance(1_000);
  expect((await seen(answer, asked('/api/settings'))).status).toBe(200);
});

test('an answer about events says that there are more than were read', async () => {
  const answered = async (isTruncated: boolean) => {
    const answer = answers({ cluster: { rows: async () => ({ rows: [], isTruncated }) } });
    const { text } = await seen(answer, asked('/api/k8s/events'));
    return JSON.parse(text);
  };
  const empty = { total: 0, offset: 0, items: [] };
  expect(await answered(true)).toEqual({ ...empty, truncated: true });
  expect(await answered(false)).toEqual({ ...empty, truncated: false });
});

test.each(['offset=', 'offset=%20', 'name=x&limit='])(
  'a parameter with no value is refused: %s',
  async (query) => {
    const { status, code } = await problem(answers(), asked(`/api/k8s/pods?${query}`));
    expect({ status, code }).toEqual({ status: 400, code: 'USAGE' });
  },
);
