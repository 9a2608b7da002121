/** A daemon of another version than the program that asks it. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cliContext } from '../support/cli-context.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';

const NOW = '2026-01-01T00:00:00.000Z';
const HEALTH = {
  agent: {
    id: 'agent-1',
    version: '9.0.0',
    role: 'server',
    cluster_name: 'prod',
    pid: 812,
    uptime_seconds: 60,
    memory_rss_bytes: 63_000_000,
  },
  ready: true,
  reasons: [],
  warnings: [{ code: 'NODE_NOT_READY', message: 'Node "b" is not ready', hint: 'Look at it' }],
  nodes: {
    total: 1,
    ready: 1,
    list: [{ name: 'a', role: 'server', ready: true, since: null, reason: null, self: true }],
  },
  session: {
    phase: 'connected',
    since: NOW,
    control_plane: 'https://cp.example',
    transport: 'websocket',
    transport_reason: null,
    down_since: null,
    next_try: null,
    last_contact: NOW,
    last_error: null,
  },
  commands: { accepted: 0, running: 0, undelivered: 0, succeeded: 3, failed: 0 },
  timestamp: NOW,
};
const ANSWERS: Readonly<Record<string, unknown>> = {
  '/api/health/detailed': HEALTH,
  '/api/settings': { settings: { 'log.level': 'debug' } },
  '/api/policy': { problem: null },
  '/api/session': { phase: 'connected' },
};

let directory: TempDirectory;

beforeEach(async () => {
  directory = await tempDirectory();
  await mkdir(join(directory.path, 'etc/systemd/system'), { recursive: true });
  await Bun.write(join(directory.path, 'etc/systemd/system/pipeops-agent.service'), '');
});
afterEach(async () => await directory[Symbol.asyncDispose]());

function cli(answers: Readonly<Record<string, unknown>>) {
  return cliContext({
    root: directory.path,
    http: async (url) => {
      const answer = answers[new URL(url).pathname];
      return answer === undefined
        ? Response.json({ error: { code: 'NOT_FOUND', message: 'nothing' } }, { status: 404 })
        : Response.json(answer);
    },
  });
}

/** Every object in it says one thing more. */
function withMore(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(withMore);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const entries = Object.entries(value).map(([key, inner]) => [key, withMore(inner)]);
  return { ...Object.fromEntries(entries), brought_by_9: { deep: ['news'] } };
}

const newer = Object.fromEntries(
  Object.entries(ANSWERS).map(([path, answer]) => [path, withMore(answer)]),
);

test('status shows what it knows of what a newer daemon says', async () => {
  const same = await cli(ANSWERS).run('status');
  expect(same.exitCode).toBe(0);
  expect(await cli(newer).run('status')).toEqual(same);
  expect(await cli(newer).run('status', '--json')).toEqual(
    await cli(ANSWERS).run('status', '--json'),
  );
});

test('status shows words that it does not know as they are', async () => {
  const session = { ...HEALTH.session, phase: 'leaving', transport: 'quic' };
  const agent = { ...HEALTH.agent, role: 'gateway' };
  const health = { ...HEALTH, agent, session };
  const { exitCode, stdout } = await cli({ '/api/health/detailed': health }).run('status');
  expect(exitCode).toBe(0);
  expect(stdout).toContain(`leaving since ${NOW} over quic`);
  expect(stdout).toContain('role gateway');
});

test('status shows what an older daemon says, and nothing of what that does not know', async () => {
  const { warnings: _, nodes: __, ...older } = HEALTH;
  const {
    transport: ___,
    transport_reason: ____,
    down_since: _5,
    next_try: _6,
    ...session
  } = HEALTH.session;
  const answers = { '/api/health/detailed': { ...older, session } };
  const { exitCode, stdout } = await cli(answers).run('status', '--json');
  expect({ exitCode, ...JSON.parse(stdout) }).toMatchObject({
    exitCode: 0,
    ready: true,
    session: { phase: 'connected', transport: null, next_try: null },
  });
  const text = await cli(answers).run('status');
  expect([text.exitCode, text.stdout]).toEqual([
    0,
    expect.stringMatching(/Session +connected since \S+\n/),
  ]);
});

test.each([
  ['newer', newer],
  ['older', {}],
])('config show works with a %s daemon', async (_, answers) => {
  const { exitCode, stdout } = await cli(answers).run('config', 'show', '--json');
  expect(exitCode).toBe(0);
  const { settings } = JSON.parse(stdout) as { settings: { setting: string }[] };
  expect(settings.find(({ setting }) => setting === 'log.level')).toMatchObject(
    answers === newer
      ? { in_force: false, note: expect.stringContaining('now "debug"') }
      : { in_force: null, note: 'not known: the agent is of an older version' },
  );
});
