import { beforeEach, expect, test } from 'bun:test';
import { systemRandom } from '../../../src/platform/random.ts';
import { type AnswerRequest, type ApiRequest, reply } from '../../../src/server/api/answers.ts';
import { requestIds } from '../../../src/server/api/request-id.ts';
import { dashboardAnswers } from '../../../src/server/dashboard/answers.ts';
import { type SignIn, signIn } from '../../../src/server/dashboard/sign-in.ts';
import { manualClock } from '../../support/manual-clock.ts';

const never = new AbortController().signal;
const FILES: Readonly<Record<string, string>> = { 'index.html': '<p>', 'page.js': 'go()' };

let page: SignIn;
let passedOn: ApiRequest[];
let answer: AnswerRequest;
beforeEach(() => {
  const clock = manualClock();
  page = signIn({ clock, random: systemRandom });
  passedOn = [];
  const deps = {
    signIn: page,
    readPageFile: async (name: string) => FILES[name],
    requestId: requestIds(clock),
  };
  answer = dashboardAnswers(deps, async (request) => {
    passedOn.push(request);
    return await reply({ status: 200, body: {} }, [], 'id');
  });
});

async function ask(target: string, more: Partial<ApiRequest> = {}) {
  const asked = { method: 'GET', target, headers: [], isTrusted: false, ...more };
  const { status, headers, body } = await answer(asked, never);
  return { status, headers: Object.fromEntries(headers), body: body.toString() };
}

const post = (target: string, headers: ApiRequest['headers'] = []) =>
  ask(target, { method: 'POST', headers });

test('the files of the page are for everybody, from this origin alone and in no frame', async () => {
  const { status, headers, body } = await ask('/dashboard/');
  expect({ status, body, type: headers['Content-Type'] }).toEqual({
    status: 200,
    body: '<p>',
    type: 'text/html;charset=utf-8',
  });
  expect(headers['Content-Security-Policy']).toStartWith("default-src 'none'; script-src 'self';");
  expect(headers['Content-Security-Policy']).toContain("frame-ancestors 'none'");
  expect((await ask('/dashboard/page.js')).headers['Content-Type']).toStartWith('text/javascript');
});

test('nothing else is a file of it, and it is only read', async () => {
  const paths = ['/dashboard/constructor', '/dashboard/../etc/passwd', '/dashboard/page.css'];
  const statuses = await Promise.all(paths.map(async (path) => (await ask(path)).status));
  expect(statuses).toEqual([404, 404, 404]);
  expect((await post('/dashboard/')).headers['Allow']).toBe('GET, HEAD');
  expect((await ask('/dashboard/sign-in')).headers['Allow']).toBe('POST');
});

test('without the slash it leads to the page', async () => {
  const { status, headers } = await ask('/dashboard');
  expect([status, headers['Location']]).toEqual([308, '/dashboard/']);
});

test('a link is exchanged for a cookie that no script reads, and a key', async () => {
  const signed = await post('/dashboard/sign-in', [['X-Dashboard-Code', page.newLink().code]]);
  expect(signed.status).toBe(200);
  const cookie = signed.headers['Set-Cookie'] ?? '';
  expect(cookie).toMatch(
    /^pipeops-agent-visit=[\w-]{43}; Path=\/dashboard; HttpOnly; SameSite=Strict$/,
  );
  const headers = [
    ['Cookie', `other=1; ${cookie.split(';', 1)[0]}`],
    ['X-Dashboard-Key', JSON.parse(signed.body).key],
  ] as const;
  await ask('/dashboard/api/health?x=1', { headers });
  await post('/dashboard/sign-out', headers);
  await ask('/dashboard/api/health', { headers });
  expect(passedOn.map(({ target, isTrusted }) => [target, isTrusted])).toEqual([
    ['/api/health?x=1', true],
    ['/api/health', false],
  ]);
});

test('a link that was used says what to do', async () => {
  const { status, body } = await post('/dashboard/sign-in', [['X-Dashboard-Code', 'used']]);
  expect([status, JSON.parse(body).hint]).toEqual([
    401,
    'Make a new one: sudo pipeops-agent dashboard',
  ]);
});

test('the cookie opens nothing outside of the page', async () => {
  const visit = page.open(page.newLink().code);
  const headers = [
    ['Cookie', `pipeops-agent-visit=${visit?.cookie}`],
    ['X-Dashboard-Key', visit?.key ?? ''],
  ] as const;
  await ask('/api/health', { headers });
  await ask('/proxy/api/v1/pods', { headers });
  expect(passedOn.map(({ isTrusted }) => isTrusted)).toEqual([false, false]);
});

test('a program without the page says so', async () => {
  expect(JSON.parse((await ask('/dashboard/icon.svg')).body)).toMatchObject({
    status: 404,
    code: 'NOT_FOUND',
    hint: 'Build it: bun run build',
  });
});
