/** `status` asks a server on a real unix socket. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { DetailedHealth } from '../../../src/protocol/local-api.ts';
import { cliContext } from '../../support/cli-context.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';
import { until } from '../../support/until.ts';

const HEALTH: DetailedHealth = {
  agent: {
    id: 'agent-1',
    version: '1.2.3',
    role: 'server',
    cluster_name: 'test',
    pid: 7,
    uptime_seconds: 90,
    memory_rss_bytes: 50 * 1024 * 1024,
  },
  ready: true,
  reasons: [],
  session: {
    phase: 'standalone',
    since: '2026-01-01T00:00:00.000Z',
    holder: null,
    control_plane: 'https://api.example',
    transport: null,
    transport_reason: null,
    down_since: null,
    next_try: null,
    last_contact: null,
    last_error: null,
  },
  commands: { accepted: 0, running: 1, undelivered: 0, succeeded: 3, failed: 0 },
  timestamp: '2026-01-01T00:01:30.000Z',
};

let directory: TempDirectory;

beforeEach(async () => {
  directory = await tempDirectory();
});
afterEach(async () => await directory[Symbol.asyncDispose]());

const cli = (more: Partial<Parameters<typeof cliContext>[0]> = {}) =>
  cliContext({ root: '/', uid: 1000, env: { RUNTIME_DIRECTORY: directory.path }, ...more });

function daemonAnswers(
  answer: () => Response,
  more: Readonly<Record<string, () => Response>> = {},
): AsyncDisposable {
  const server = Bun.serve({
    unix: join(directory.path, 'agent.sock'),
    routes: { '/api/health/detailed': answer, ...more },
    fetch: () => new Response('', { status: 404 }),
  });
  return { [Symbol.asyncDispose]: () => server.stop(true) };
}

test('status of a server that stands by says which one has the session', async () => {
  const session = { ...HEALTH.session, phase: 'standby', holder: 'server-2' };
  await using _ = daemonAnswers(() => Response.json({ ...HEALTH, session }));
  const { stdout } = await cli().run('status');
  expect(stdout).toContain('stands by since 2026-01-01T00:00:00.000Z; server-2 has it\n');
  expect(stdout).not.toContain('Control plane');
});

test('status leaves the control plane out where the agent is standalone', async () => {
  await using _ = daemonAnswers(() => Response.json(HEALTH));
  expect(await cli().run('status')).toEqual({
    exitCode: 0,
    stdout: `Agent     agent-1, version 1.2.3, role server
Running   for 1m 30s, 50 MiB, pid 7
Cluster   test
Ready     yes
Session   standalone since 2026-01-01T00:00:00.000Z
Commands  0 waiting, 1 running, 0 results to send, 3 succeeded and 0 failed since the start
`,
    stderr: '',
  });
});

test('status shows the last contact with the control plane, and a reason without a hint', async () => {
  const reasons = [{ code: 'KUBERNETES_API', message: 'Kubernetes does not answer' }];
  const last_contact = '2026-01-01T00:01:00.000Z';
  const session = { ...HEALTH.session, phase: 'connected', last_contact } as const;
  await using _ = daemonAnswers(() => Response.json({ ...HEALTH, ready: false, reasons, session }));
  const { stdout } = await cli().run('status');
  expect(stdout).toContain('Control plane  https://api.example\n');
  expect(stdout).toContain(`Last contact   ${last_contact}\n`);
  expect(stdout).toEndWith('\nKubernetes does not answer [KUBERNETES_API]\n');
});

test('status --json prints what the agent said', async () => {
  await using _ = daemonAnswers(() => Response.json(HEALTH));
  const { exitCode, stdout, stderr } = await cli().run('status', '--json');
  expect({ exitCode, stderr, health: JSON.parse(stdout) }).toEqual({
    exitCode: 0,
    stderr: '',
    health: HEALTH,
  });
});

test('status shows how many streams of tunnels are open, and where they lead', async () => {
  const stream = (number: number, service: string, port: number) => ({
    ...{ number, protocol: 'tcp', tunnel_id: 't-1', namespace: 'shop', service, port },
    ...{ since: HEALTH.timestamp, bytes_in: 1, bytes_out: 2 },
  });
  const items = [stream(3, 'db', 5432), stream(2, 'web', 80), stream(1, 'web', 80)];
  const told = (total: number, shown = items) => ({
    '/api/tunnels/streams': () => Response.json({ total, offset: 0, items: shown }),
  });
  {
    await using _ = daemonAnswers(() => Response.json(HEALTH), told(3));
    expect((await cli().run('status')).stdout).toContain(
      'Tunnels   3 streams are open: shop/web:80 (2), shop/db:5432\n',
    );
    const { tunnels } = JSON.parse((await cli().run('status', '--json')).stdout);
    expect(tunnels).toEqual({ open: 3, streams: items });
  }
  {
    await using _ = daemonAnswers(() => Response.json(HEALTH), told(101));
    expect((await cli().run('status')).stdout).toContain(', shop/db:5432, …\n');
  }
  await using _ = daemonAnswers(() => Response.json(HEALTH), told(0, []));
  expect((await cli().run('status')).stdout).not.toContain('Tunnels');
});

test.each([
  ['something else than JSON', () => new Response('<html>')],
  ['a document without what it needs', () => Response.json({ ...HEALTH, ready: 'so-so' })],
  ['an error', () => Response.json({ error: 'no' }, { status: 500 })],
])('status says to start the agent again when it answers with %s', async (_, answer) => {
  await using _server = daemonAnswers(answer);
  const { exitCode, stdout, stderr } = await cli().run('status');
  expect({ exitCode, stdout, stderr }).toEqual({
    exitCode: 6,
    stdout: '',
    stderr:
      'pipeops-agent: error: The agent gives an answer of another version [DAEMON_UNREACHABLE]\n' +
      'pipeops-agent: hint: Start it again: sudo systemctl restart pipeops-agent\n',
  });
});

test('status says that no agent runs when there is no socket', async () => {
  const { exitCode, stdout, stderr } = await cli().run('status');
  expect({ exitCode, stdout }).toEqual({ exitCode: 6, stdout: '' });
  expect(stderr).toEndWith(
    'pipeops-agent: hint: See whether it runs: systemctl status pipeops-agent\n',
  );
});

test('status names the nodes, and does not look well while one of them is not ready', async () => {
  const node = { role: 'worker', ready: true, since: null, reason: null, self: false } as const;
  const nodes = {
    total: 3,
    ready: 2,
    list: [
      { ...node, name: 'worker-2', ready: false, since: '2026-01-01T00:00:00Z', reason: 'gone' },
      { ...node, name: 'server-1', role: 'server', self: true },
      { ...node, name: 'worker-1' },
    ],
  };
  const warnings = [{ code: 'NODE_NOT_READY', message: 'Node "worker-2" is not ready' }];
  await using _ = daemonAnswers(() => Response.json({ ...HEALTH, nodes, warnings }));
  const { stdout } = await cli().run('status');
  expect(stdout).toContain('Ready     yes, with warnings: see below\n');
  expect(stdout).toContain(
    'Nodes     2 of 3 ready: server-1 (this machine), worker-1; not ready: worker-2\n',
  );
  expect(stdout).toEndWith('\nNode "worker-2" is not ready [NODE_NOT_READY]\n');
});

test('status names each node that is not ready, below each other on a terminal', async () => {
  const node = { role: 'worker', ready: true, since: null, reason: null, self: false } as const;
  const named = (count: number, name: string, ready: boolean) =>
    Array.from({ length: count }, (_, at) => ({ ...node, name: `${name}-${at + 1}`, ready }));
  const list = [...named(120, 'down', false), ...named(12, 'up', true)];
  const nodes = { total: 220, ready: 100, list };
  await using _ = daemonAnswers(() => Response.json({ ...HEALTH, nodes }));
  const { stdout } = await cli({ columns: 80 }).run('status');
  const lines = stdout.split('\n');
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  const flat = stdout.replaceAll(/\s+/g, ' ');
  expect(flat).toContain('Nodes 100 of 220 ready: up-1, up-2, ');
  expect(flat).toContain(', up-10, and 90 more; not ready: down-1, down-2, ');
  expect(flat).toContain(', down-119, down-120 ');
  const whole = await cli().run('status');
  expect(whole.stdout.replaceAll(/\s+/g, ' ')).toBe(flat);
});

test('status of a worker shows its server, and nothing that only a server knows', async () => {
  const agent = { ...HEALTH.agent, role: 'node', cluster_name: null } as const;
  const server = { url: 'https://10.0.0.1:6443', trouble: 'it refuses connections' };
  const session = { ...HEALTH.session, control_plane: null };
  await using _ = daemonAnswers(() => Response.json({ ...HEALTH, agent, server, session }));
  expect((await cli().run('status')).stdout).toBe(`Agent    agent-1, version 1.2.3, role node
Running  for 1m 30s, 50 MiB, pid 7
Ready    yes
Server   https://10.0.0.1:6443, no answer: it refuses connections
`);
});

test('what a control plane says is shown to a terminal, and neither obeyed nor taken for a line', async () => {
  const evil = '\x1b]0;title\x07\x9b31m\x7f\r\u202eyes\nReady     yes';
  const health: DetailedHealth = {
    ...HEALTH,
    ready: false,
    reasons: [{ code: 'CONTROL_PLANE_ERROR', message: evil, hint: evil }],
    session: { ...HEALTH.session, transport: 'rest', transport_reason: evil },
  };
  await using _ = daemonAnswers(() => Response.json(health));
  const seen = '\\u001b]0;title\\u0007\\u009b31m\\u007f\\u000d\\u202eyes\\nReady     yes';
  const { stdout } = await cli().run('status');
  expect(stdout.split('\n').filter((line) => line.includes('title'))).toEqual([
    `Session   standalone since 2026-01-01T00:00:00.000Z over rest (${seen})`,
    `${seen} [CONTROL_PLANE_ERROR]`,
    `  hint: ${seen}`,
  ]);
  const json = (await cli().run('status', '--json')).stdout;
  expect(json).toMatch(/^[\n -~]+$/);
  expect(JSON.parse(json)).toEqual(health);
});

test('a daemon that sends without end does not fill the memory of who asks it', async () => {
  let sent = 0;
  const endless = () =>
    new Response(
      new ReadableStream({
        pull: (controller) => {
          sent += 1;
          controller.enqueue(new Uint8Array(256 * 1024).fill(0x20));
        },
      }),
    );
  await using _ = daemonAnswers(endless);
  const { exitCode, stderr } = await cli().run('status');
  expect([exitCode, stderr]).toEqual([6, expect.stringContaining('[DAEMON_UNREACHABLE]')]);
  // 4 MiB, and what is on its way meanwhile.
  expect(sent).toBeLessThan(64);
});

const SINCE = '2026-01-01T00:00:00.000Z';
const TROUBLE = {
  ...{ warnable: 'session', severity: 'blocks', about: null, code: 'TIMEOUT' },
  ...{ message: 'It does not answer', hint: 'Look there', since: SINCE, times: 2 },
};
const OVER = { warnable: 'nodes', about: 'w-1', code: 'X', message: 'down', since: SINCE };

test('status shows workloads, since when something is wrong, and what was wrong lately', async () => {
  const health = {
    ready: true,
    problems: [TROUBLE],
    history: [{ ...OVER, until: '2026-01-01T00:05:00.000Z' }],
  };
  const workloads = {
    deployments: { total: 13, ready: 1, not_ready: ['shop/api', 'shop/web'] },
    pods: { total: 9, by_phase: { Pending: 1, Running: 8 } },
  };
  await using _ = daemonAnswers(() => Response.json(HEALTH), {
    '/api/health': () => Response.json(health),
    '/api/k8s/summary': () => Response.json(workloads),
  });
  const clock = manualClock('2026-01-01T01:00:00.000Z');
  const { stdout } = await cli({ clock }).run('status');
  expect(stdout).toContain(
    'Workloads     1 of 13 Deployments ready; 9 pods: 1 Pending, 8 Running; ' +
      'not ready: shop/api, shop/web, and 10 more\n',
  );
  expect(stdout).toContain('Lately wrong  nodes w-1 for 5m until 2026-01-01T00:05:00.000Z\n');
  expect(stdout).toEndWith(
    '\nIt does not answer [TIMEOUT]\n' +
      '  for 1h, 2 times since the start of the agent\n' +
      '  hint: Look there\n',
  );
  expect(JSON.parse((await cli({ clock }).run('status', '--json')).stdout)).toEqual({
    ...{ ...HEALTH, health, workloads },
  });
});

test('status --watch looks again until it is interrupted, also while the agent restarts', async () => {
  let asked = 0;
  const clock = manualClock();
  const interrupt = new AbortController();
  const answer = () => {
    asked += 1;
    return asked === 2 ? new Response('<html>') : Response.json(HEALTH);
  };
  await using _ = daemonAnswers(answer);
  const ran = cli({ clock, signal: interrupt.signal }).run('status', '--watch', '--json');
  for (const looks of [1, 2, 3]) {
    await until(`look ${looks}`, () => asked === looks && clock.remainingMs().includes(2_000));
    clock.advance(looks < 3 ? 2_000 : 0);
  }
  interrupt.abort();
  const { exitCode, stdout } = await ran;
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect([exitCode, lines.length, lines[0], lines[1].error.code, lines[2]]).toEqual([
    ...[0, 3, HEALTH, 'DAEMON_UNREACHABLE', HEALTH],
  ]);
});
