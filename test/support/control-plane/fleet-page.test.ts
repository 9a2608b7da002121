/** Who is there, who is down and who has left for good: in the admin API and on the page. */
import { expect, test } from 'bun:test';
import { REST_PATHS } from '../../../src/protocol/rest.ts';
import { until } from '../until.ts';
import { REST_SILENCE_LIMIT_MS, sessionOf } from './agent-presence.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { registeredAgent } from './raw-agent.ts';

const HEADERS = { authorization: 'Bearer token' };

async function call(plane: ControlPlane, path: string, body?: object): Promise<number> {
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  return (await fetch(`${plane.url}${path}`, { headers: HEADERS, ...init })).status;
}

const register = (plane: ControlPlane) =>
  call(plane, REST_PATHS.register(), {
    id: 'one',
    name: 'vm',
    cluster_name: 'test',
    version: '1.2.3',
    status: 'registering',
    labels: { hostname: 'vm', 'agent.pipeops.io/version': '1.2.3' },
    last_seen: '2026-01-01T00:00:00.000Z',
    control_plane_url: '',
  });

const heartbeat = (plane: ControlPlane, status: string) =>
  call(plane, REST_PATHS.heartbeat('one'), {
    agent_id: 'one',
    cluster_name: 'test',
    status,
    proxy_status: 'direct',
    timestamp: '2026-01-01T00:00:00.000Z',
    metadata: { version: '1.2.3' },
  });

interface Shown {
  readonly session: string;
  readonly left_at: string | null;
  readonly seen_at: string;
  readonly cluster_id: string;
}

const shown = async (plane: ControlPlane) =>
  (await (await fetch(`${plane.adminUrl}/admin/agents/one`)).json()) as Shown;
const page = async (plane: ControlPlane) => (await fetch(plane.adminUrl)).text();

test('an agent that said goodbye over REST is gone, until it registers again', async () => {
  await using plane = startControlPlane({ token: 'token' });
  await register(plane);
  await heartbeat(plane, 'connected');
  expect(await shown(plane)).toMatchObject({ session: 'connected', left_at: null });
  expect(await page(plane)).toContain('>polls</span>');
  await heartbeat(plane, 'disconnected');
  const gone = await shown(plane);
  expect(gone.session).toBe('gone');
  expect(Date.parse(gone.left_at ?? '')).toBeLessThanOrEqual(Date.now());
  expect(await page(plane)).toContain(`title="${gone.left_at}">gone since `);
  await register(plane);
  expect(await shown(plane)).toMatchObject({ session: 'connected', left_at: null });
});

test('a heartbeat that says that all is well takes a goodbye back', async () => {
  await using plane = startControlPlane({ token: 'token' });
  await register(plane);
  await heartbeat(plane, 'disconnected');
  await heartbeat(plane, 'connected');
  expect(await shown(plane)).toMatchObject({ session: 'connected', left_at: null });
});

test.each([
  ['disconnected', 'gone'],
  ['healthy', 'stopped'],
])('an agent whose last heartbeat over the WebSocket said %s is %s', async (status, session) => {
  await using plane = startControlPlane({ token: 'token' });
  {
    await using agent = await registeredAgent(plane);
    const { cluster_id } = await shown(plane);
    agent.send('heartbeat', {
      cluster_id,
      agent_id: 'one',
      status,
      tunnel_status: 'connected',
      metadata: {
        agent_version: '1.2.3',
        k8s_version: 'v1',
        k8s_nodes: 1,
        k8s_pods: 1,
        cpu_usage: '1%',
        memory_usage: '1%',
        is_private: true,
        gateway_routes: 0,
      },
    });
    await agent.next('heartbeat_ack');
  }
  await until('it is missed', async () => (await shown(plane)).session === session);
  const { left_at, seen_at } = await shown(plane);
  const since = session === 'gone' ? left_at : seen_at;
  expect(await page(plane)).toContain(`title="${since}">${session} since `);
  await using _again = await registeredAgent(plane);
  expect(await shown(plane)).toMatchObject({ session: 'connected', left_at: null });
});

test('an agent over REST that is silent for three intervals is down', () => {
  const seen_at = '2026-01-01T00:00:00.000Z';
  const agent = { transport: 'rest', left_at: null, seen_at } as const;
  const none = { isUp: false, wasStopped: false };
  const after = (ms: number) => sessionOf(agent, none, new Date(Date.parse(seen_at) + ms));
  expect([after(REST_SILENCE_LIMIT_MS), after(REST_SILENCE_LIMIT_MS + 1)]).toEqual([
    ...(['connected', 'down'] as const),
  ]);
  expect(sessionOf({ ...agent, seen_at: null }, none, new Date())).toBe('down');
});

test('what an agent says is text on its page, and nothing of the page comes from elsewhere', async () => {
  await using plane = startControlPlane({ token: 'token' });
  await register(plane);
  await call(plane, REST_PATHS.heartbeat('one'), { agent_id: '<script>alert(1)</script>' });
  const created_at = new Date().toISOString();
  const command = { id: 'c-1', type: '<b>', payload: {}, timeout_seconds: null, created_at };
  plane.store.queue('one', command);
  const response = await fetch(`${plane.adminUrl}/agents/one`);
  const text = await response.text();
  expect(text).toContain('&lt;b&gt;');
  expect(text).not.toMatch(/<b>|<script>/);
  expect(response.headers.get('content-security-policy')).toStartWith("default-src 'none';");
  expect((await fetch(`${plane.adminUrl}/agents/none`)).status).toBe(404);
  expect((await fetch(`${plane.adminUrl}/fleet.js`)).headers.get('content-type')).toContain(
    'javascript',
  );
});

test('a page of another site gives no commands', async () => {
  await using plane = startControlPlane({ token: 'token' });
  await register(plane);
  const post = (origin: string) =>
    fetch(`${plane.adminUrl}/admin/agents/one/commands`, {
      method: 'POST',
      headers: { origin },
      body: JSON.stringify({ type: 'get_resources' }),
    });
  expect((await post('https://evil.example')).status).toBe(403);
  expect((await post(plane.adminUrl)).status).toBe(201);
});
