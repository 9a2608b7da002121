/** Pages of other origins, at a real door: only those that root lists, and never with cookies. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { httpServer } from '../../../src/server/doors.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { NO_KEPT_SOCKETS } from '../../support/no-kept-sockets.ts';
import { NO_SOURCES } from '../../support/server-sources.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

const LISTED = 'https://ops.example.com';
const stop = new AbortController();
let directory: TempDirectory;
let done: Promise<void>;
let base: string;

beforeAll(async () => {
  directory = await tempDirectory();
  const sources = {
    ...NO_SOURCES,
    corsOrigins: [LISTED],
    auth: { accepts: (given: string | undefined) => given === 'Bearer local' },
  };
  const server = httpServer(
    {
      log: memoryLog(),
      clock: systemClock,
      kept: NO_KEPT_SOCKETS,
      files: systemFiles('/'),
      sources,
    },
    { port: 0, socketPath: join(directory.path, 'agent.sock') },
  );
  ({ done } = await server.start(stop.signal));
  base = `http://127.0.0.1:${server.port()}`;
});

afterAll(async () => {
  stop.abort();
  await done;
  await directory[Symbol.asyncDispose]();
});

async function ask(path: string, headers: Record<string, string>, method = 'GET') {
  const response = await fetch(`${base}${path}`, { method, headers });
  return {
    status: response.status,
    origin: response.headers.get('access-control-allow-origin'),
    credentials: response.headers.get('access-control-allow-credentials'),
  };
}

const PREFLIGHT = { 'access-control-request-method': 'GET' };
const TOKEN = { authorization: 'Bearer local' };

test('a page of a listed origin may ask, with the token', async () => {
  const may = { origin: LISTED, credentials: null };
  expect(await ask('/api/settings', { origin: LISTED, ...PREFLIGHT }, 'OPTIONS')).toEqual({
    status: 200,
    ...may,
  });
  expect(await ask('/api/settings', { origin: LISTED, ...TOKEN })).toEqual({ status: 200, ...may });
  expect(await ask('/health', { origin: LISTED })).toEqual({ status: 200, ...may });
  // It is told what is wrong.
  expect(await ask('/api/settings', { origin: LISTED })).toEqual({ status: 401, ...may });
});

test('what it may send and read is told', async () => {
  const preflight = await fetch(`${base}/api/settings`, {
    method: 'OPTIONS',
    headers: { origin: LISTED, ...PREFLIGHT },
  });
  expect(preflight.headers.get('access-control-allow-headers')).toContain('Authorization');
  expect(preflight.headers.get('vary')).toBe('Origin');
  const answer = await fetch(`${base}/api/settings`, { headers: { origin: LISTED, ...TOKEN } });
  expect(answer.headers.get('access-control-expose-headers')).toContain('ETag');
});

test.each([
  ['another origin', '/api/settings', 'https://evil.example'],
  ['one that begins like a listed one', '/api/settings', `${LISTED}.evil.example`],
  ['another port of it', '/api/settings', `${LISTED}:8443`],
  ['no origin to speak of', '/api/settings', 'null'],
  ['the page of the agent', '/dashboard/sign-in', LISTED],
  ['what is behind the proxy', '/proxy/api/v1/pods', LISTED],
  ['the socket', '/ws', LISTED],
])('%s is not for a page that shows no token', async (_, path, origin) => {
  expect(await ask(path, { origin, ...PREFLIGHT }, 'OPTIONS')).toEqual({
    status: 403,
    origin: null,
    credentials: null,
  });
});
