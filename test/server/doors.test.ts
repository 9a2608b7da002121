import { expect, test } from 'bun:test';
import { connect } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { Problem } from '../../src/protocol/local-status.ts';
import { httpServer } from '../../src/server/doors.ts';
import type { ServerSources } from '../../src/server/sources.ts';
import { memoryLog } from '../support/memory-log.ts';
import { NO_KEPT_SOCKETS } from '../support/no-kept-sockets.ts';
import { NO_SOURCES } from '../support/server-sources.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const SOURCES: ServerSources = {
  ...NO_SOURCES,
  auth: { accepts: (given) => given === 'Bearer local' },
  version: { version: '1.2.3', commit: 'abc' },
  ready: async () => ({ ready: false, reasons: [{ code: 'TIMEOUT', message: 'not yet' }] }),
  detailed: () => Promise.reject(new Error('broken')),
  health: async () => ({ ready: false, problems: [], history: [] }),
  policy: async () => ({ problem: { code: 'POLICY_INVALID', message: 'no YAML' } }),
  session: async () => ({ phase: 'standalone' }),
  settings: () => ({ settings: { 'http.port': 8080 } }),
  metrics: async () => ({ type: 'text/plain', text: 'up 1\n' }),
  proxy: { forward: () => Promise.reject(new Error('nothing is passed on here')) as never },
};

async function startServer(port = 0) {
  const directory = await tempDirectory();
  const socketPath = join(directory.path, 'agent.sock');
  const log = memoryLog();
  const server = httpServer(
    {
      ...{ log, clock: systemClock, files: systemFiles('/') },
      ...{ kept: NO_KEPT_SOCKETS, sources: SOURCES },
    },
    { port, socketPath },
  );
  const stop = new AbortController();
  const { done } = await server.start(stop.signal);
  return {
    log,
    socketPath,
    base: `http://127.0.0.1:${server.port()}`,
    port: server.port(),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
      await directory[Symbol.asyncDispose]();
    },
  };
}

async function seen(response: Response): Promise<readonly [number, unknown]> {
  const text = await response.text();
  return [response.status, text.startsWith('{') ? JSON.parse(text) : text];
}

test('loopback answers health, readiness, version and metrics', async () => {
  await using server = await startServer();
  expect(await seen(await fetch(`${server.base}/health`))).toEqual([200, { status: 'ok' }]);
  expect(await seen(await fetch(`${server.base}/ready`))).toEqual([
    503,
    { ready: false, reasons: [{ code: 'TIMEOUT', message: 'not yet' }] },
  ]);
  expect(await seen(await fetch(`${server.base}/version`))).toEqual([200, SOURCES.version]);
  expect(await seen(await fetch(`${server.base}/metrics`))).toEqual([200, 'up 1\n']);
});

test('loopback refuses names that are not its own, other sites, other methods and other paths', async () => {
  await using server = await startServer();
  const status = async (path: string, init?: RequestInit) =>
    (await fetch(`${server.base}${path}`, init)).status;
  expect({
    reboundName: await status('/health', { headers: { host: 'evil.example' } }),
    otherSite: await status('/health', { headers: { origin: 'https://evil.example' } }),
    ownPage: await status('/health', { headers: { origin: server.base } }),
    post: await status('/health', { method: 'POST' }),
    unknown: await status('/constructor'),
    socketOnly: await status('/api/health/detailed'),
    policy: await status('/api/policy'),
    session: await status('/api/session'),
  }).toEqual({
    reboundName: 403,
    otherSite: 403,
    ownPage: 200,
    post: 405,
    unknown: 404,
    socketOnly: 401,
    policy: 401,
    session: 401,
  });
});

test.each([
  ['a rebound name', '/health', { host: 'evil.example' }, 403, 'FOREIGN_HOST'],
  ['another site', '/api/health', { origin: 'https://evil.example' }, 403, 'FOREIGN_ORIGIN'],
  ['no token', '/api/health', {}, 401, 'LOCAL_TOKEN_REJECTED'],
  ['no token for the proxy', '/proxy/api', {}, 401, 'LOCAL_TOKEN_REJECTED'],
])(
  'a refusal is a problem with a hint and the id of the caller: %s',
  async (_, path, more, status, code) => {
    await using server = await startServer();
    const headers = { ...more, 'x-request-id': 'mine' };
    const response = await fetch(`${server.base}${path}`, { headers });
    const problem = Problem.parse(await response.json());
    const told = Object.fromEntries(
      ['content-type', 'x-request-id'].map((name) => [name, response.headers.get(name)]),
    );
    expect({ told, problem, status: response.status }).toMatchObject({
      told: { 'content-type': 'application/problem+json', 'x-request-id': 'mine' },
      problem: { status, code, request_id: 'mine', hint: expect.any(String) },
      status,
    });
  },
);

test.each([
  ['no Host', 'GET /health HTTP/1.0', 403],
  ['an empty Host', 'GET /health HTTP/1.1\r\nHost: ', 403],
  ['a Host with a user', 'GET /health HTTP/1.1\r\nHost: 127.0.0.1@evil/', 403],
  ['a Host with a path', 'GET /health HTTP/1.1\r\nHost: 127.0.0.1/x', 403],
  ['an address of another name', 'GET http://evil/health HTTP/1.1\r\nHost: 127.0.0.1', 200],
  ['a fragment', 'GET /health#?x HTTP/1.1\r\nHost: 127.0.0.1', 200],
  ['a query with everything', 'GET /health?a=/b://c?d#e HTTP/1.1\r\nHost: 127.0.0.1', 200],
  ['dots before the path', 'GET /x/../health HTTP/1.1\r\nHost: 127.0.0.1', 200],
])('%s is no trouble', async (_, head, status) => {
  await using server = await startServer();
  const socket = connect(server.port, '127.0.0.1');
  socket.write(`${head}\r\n\r\n`);
  const first = await new Promise<string>((resolve) => {
    socket.once('data', (bytes) => resolve(bytes.toString('latin1')));
  });
  socket.destroy();
  expect(first).toStartWith(`HTTP/1.1 ${status} `);
  expect(server.log.entries.filter(({ level }) => level === 'error')).toEqual([]);
});

test('the socket is for its owner and group, and a request that fails is logged, not shown', async () => {
  await using server = await startServer();
  const { mode, kind } = (await systemFiles('/').stat(server.socketPath)) ?? {};
  expect({ mode, kind }).toEqual({ mode: 0o660, kind: 'socket' });
  const response = await fetch('http://agent/api/health/detailed', { unix: server.socketPath });
  const message = 'The agent could not answer';
  const id = response.headers.get('x-request-id') ?? '';
  expect(await seen(response)).toEqual([
    500,
    {
      type: 'about:blank',
      title: 'Internal Server Error',
      status: 500,
      detail: message,
      code: 'INTERNAL',
      hint: 'Its log has the cause: journalctl -u pipeops-agent',
      request_id: id,
      error: { code: 'INTERNAL', message },
    },
  ]);
  expect(server.log.entries.filter(({ level }) => level === 'error')).toEqual([
    {
      level: 'error',
      message: 'a request failed',
      fields: { request_id: id, error: 'broken' },
    },
  ]);
});

test('the socket says how the policy file was taken up', async () => {
  await using server = await startServer();
  const response = await fetch('http://agent/api/policy', { unix: server.socketPath });
  expect(await seen(response)).toEqual([
    200,
    { problem: { code: 'POLICY_INVALID', message: 'no YAML' } },
  ]);
});

test('a port that is taken is PORT_IN_USE with what to do', async () => {
  await using first = await startServer();
  await expect(startServer(first.port)).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    hint: expect.stringContaining('http.port'),
  });
});
