/** `top`, `logs` and `log-level` ask a server on a real unix socket. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { cliContext } from '../../support/cli-context.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

const NOW = '2026-01-01T00:10:00.000Z';
const GIB = 2 ** 30;
const NODES = {
  ...{ total: 1, offset: 0 },
  items: [
    {
      ...{ name: 'node-1', cpu: 0.5, memory_bytes: GIB },
      ...{ cpu_capacity: 2, memory_capacity_bytes: 4 * GIB },
    },
  ],
};
const PODS = {
  ...{ total: 2, offset: 0 },
  items: [{ namespace: 'shop', name: 'web-1', cpu: 0.25, memory_bytes: GIB / 8 }],
};
const LINE = { timestamp: NOW, level: 'warn', message: 'a\u001b', fields: { n: 1, text: 'b c' } };
const UNMEASURED = { status: 404, code: 'NOT_FOUND', detail: 'none' };

let directory: TempDirectory;
let asked: string[];
let answers: Record<string, () => Response>;

beforeEach(async () => {
  directory = await tempDirectory();
  asked = [];
  answers = {};
});
afterEach(async () => await directory[Symbol.asyncDispose]());

const run = (...words: readonly string[]) =>
  cliContext({
    ...{ root: '/', uid: 1000, clock: manualClock(NOW) },
    env: { RUNTIME_DIRECTORY: directory.path },
  }).run(...words);

function daemon(): AsyncDisposable {
  const server = Bun.serve({
    unix: join(directory.path, 'agent.sock'),
    fetch: ({ method, url }) => {
      const { pathname, search } = new URL(url);
      asked.push(`${method} ${pathname}${search}`);
      return answers[pathname]?.() ?? new Response('', { status: 500 });
    },
  });
  return { [Symbol.asyncDispose]: () => server.stop(true) };
}

const problem = (body: { readonly status: number }) => () =>
  Response.json(
    { type: 'about:blank', title: '', request_id: '1', error: { code: '', message: '' }, ...body },
    { status: body.status },
  );

test('top shows what nodes use of what they have, and which pods use most', async () => {
  answers = {
    '/api/k8s/usage/nodes': () => Response.json(NODES),
    '/api/k8s/usage/pods': () => Response.json(PODS),
  };
  await using _ = daemon();
  const flags = ['--sort', 'memory', '--limit', '1', '--namespace', 'shop'];
  expect(await run('top', ...flags)).toEqual({
    exitCode: 0,
    stdout: `NODE    CPU         MEMORY
node-1  500m, 25 %  1024 MiB, 25 %

POD         CPU   MEMORY
shop/web-1  250m  128 MiB
`,
    stderr: 'These are 1 of 2: --limit shows more\n',
  });
  expect(asked).toEqual([
    'GET /api/k8s/usage/nodes?sort=-memory_bytes&limit=500',
    'GET /api/k8s/usage/pods?sort=-memory_bytes&limit=1&namespace=shop',
  ]);
  expect(JSON.parse((await run('top', '--json')).stdout)).toEqual({
    nodes: NODES.items,
    pods: PODS.items,
  });
});

test('top says where nothing measures pods', async () => {
  answers = {
    '/api/k8s/usage/nodes': () => Response.json(NODES),
    '/api/k8s/usage/pods': problem(UNMEASURED),
  };
  await using _ = daemon();
  const { exitCode, stderr } = await run('top');
  expect({ exitCode, stderr }).toEqual({
    exitCode: 0,
    stderr: '\nNothing in this cluster measures pods: it has no metrics-server\n',
  });
  expect(JSON.parse((await run('top', '--json')).stdout).pods).toBeNull();
});

test.each([
  'top --sort age',
  'top --limit 0',
  'logs --level loud',
  'logs --lines x',
  'logs --since yesterday',
  'log-level loud',
  'log-level debug --for 2d',
])('%s is refused with what could be given', async (line) => {
  const { exitCode, stderr } = await run(...line.split(' '));
  expect(exitCode).toBe(2);
  expect(stderr).toContain('hint: Give ');
  expect(asked).toEqual([]);
});

test('logs asks the agent where there is no journal, and shows no line that a terminal would obey', async () => {
  answers = {
    '/api/health/detailed': () => Response.json(HEALTH),
    '/api/realtime/logs': () =>
      new Response(`: x\n\nid: a-1\nevent: log\ndata: ${JSON.stringify(LINE)}\n\n`),
  };
  await using _ = daemon();
  expect((await run('logs', '--lines', '5', '--level', 'warn')).stdout).toBe(
    `${NOW} warn  a\\u001b n=1 text="b c"\n`,
  );
  expect(asked.at(-1)).toBe('GET /api/realtime/logs?follow=false&level=warn&tail=5');
  expect(JSON.parse((await run('logs', '--json')).stdout)).toEqual(LINE);
  await run('logs', '-f');
  expect(asked.at(-1)).toBe('GET /api/realtime/logs?follow=true&level=debug&tail=100');
  expect((await run('logs', '-x')).stderr).toContain('has no flag -x');
});

const HEALTH = {
  agent: {
    ...{ id: 'a', version: '1', role: 'server', cluster_name: null },
    ...{ pid: 1, uptime_seconds: 1, memory_rss_bytes: 1 },
  },
  ...{ ready: true, reasons: [], session: { phase: 'standalone', since: NOW } },
  commands: { accepted: 0, running: 0, undelivered: 0, succeeded: 0, failed: 0 },
  timestamp: NOW,
};

test('log-level tells the level, and changes it for a while', async () => {
  let level = { level: 'info', configured: 'info', until: null as string | null };
  answers = { '/api/log-level': () => Response.json(level) };
  await using _ = daemon();
  expect((await run('log-level')).stdout).toBe('info\n');
  level = { level: 'debug', configured: 'info', until: '2026-01-01T00:20:00.000Z' };
  expect((await run('log-level', 'debug', '--for', '10m')).stdout).toBe(
    'debug for 10m more, then info\n',
  );
  expect(asked).toEqual(['GET /api/log-level', 'POST /api/log-level?level=debug&seconds=600']);
  expect(JSON.parse((await run('log-level', '--json')).stdout)).toEqual(level);
});
