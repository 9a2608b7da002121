import { expect, test } from 'bun:test';
import { startControlPlane } from './control-plane.ts';

const REGISTRATION = {
  id: 'one',
  name: 'vm',
  cluster_name: 'test',
  version: '1.2.3',
  labels: { hostname: 'vm', 'agent.pipeops.io/version': '1.2.3' },
  status: 'registering',
  last_seen: '2026-01-01T00:00:00.000Z',
  control_plane_url: '',
};

const asJson = (body: unknown, token = 'token') => ({
  method: 'POST',
  headers: { authorization: `Bearer ${token}` },
  body: JSON.stringify(body),
});

test('agents register and are shown; what is against the protocol is recorded', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  const register = `${controlPlane.url}/api/v1/agents/register`;
  expect((await fetch(register, asJson(REGISTRATION, 'wrong'))).status).toBe(401);
  expect((await fetch(register, asJson(REGISTRATION))).status).toBe(201);
  const heartbeat = `${controlPlane.url}/api/v1/agents/one/heartbeat`;
  expect((await fetch(heartbeat, asJson({ agent_id: 'one', surprise: 1 }))).status).toBe(400);
  const agents = `${controlPlane.adminUrl}/admin/agents`;
  const { agents: known } = (await (await fetch(agents)).json()) as { agents: { id: string }[] };
  expect(known.map(({ id }) => id)).toEqual(['one']);
  const agent = (await (await fetch(`${agents}/one`)).json()) as { protocol_errors: string[] };
  expect(agent.protocol_errors.length).toBe(1);
  expect(await (await fetch(`${controlPlane.adminUrl}/`)).text()).toContain('one');
  expect((await fetch(`${agents}/two`)).status).toBe(404);
  expect((await fetch(agents, { headers: { host: 'evil.example' } })).status).toBe(403);
});

test('a command is queued, given out until it is done, and has one result', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await fetch(`${controlPlane.url}/api/v1/agents/register`, asJson(REGISTRATION));
  const commands = `${controlPlane.adminUrl}/admin/agents/one/commands`;
  const bad = await fetch(commands, { method: 'POST', body: '{"payload":{}}' });
  expect(bad.status).toBe(400);
  const made = await fetch(commands, { method: 'POST', body: '{"type":"deploy","payload":{}}' });
  const { id } = (await made.json()) as { id: string };
  const headers = { authorization: 'Bearer token' };
  const fetched = await fetch(`${controlPlane.url}/api/v1/agents/one/commands`, { headers });
  expect(await fetched.json()).toMatchObject({ commands: [{ id, type: 'deploy' }] });
  const listed = async () => ((await (await fetch(commands)).json()) as object) ?? {};
  expect(await listed()).toMatchObject({
    commands: [{ id, type: 'deploy', state: 'delivered', success: null }],
  });
  const result = (output: string) => ({
    success: true,
    output,
    metadata: {
      attempts: 1,
      started_at: null,
      finished_at: '2026-01-01T00:00:00.000Z',
      duration_ms: 1,
      truncated: false,
    },
    timestamp: '2026-01-01T00:00:00.000Z',
  });
  const url = `${controlPlane.url}/api/v1/agents/one/commands/${id}/result`;
  const statuses = [];
  for (const output of ['done', 'done', 'something else']) {
    statuses.push((await fetch(url, asJson(result(output)))).status);
  }
  expect(statuses).toEqual([204, 204, 400]);
  expect(await listed()).toMatchObject({ commands: [{ id, state: 'done', success: true }] });
  expect(await (await fetch(`${commands}/${id}`)).json()).toMatchObject({
    state: 'done',
    extra_results: 1,
    result: { output: 'done' },
  });
});

test('a command that was not given out can be taken back, once', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await fetch(`${controlPlane.url}/api/v1/agents/register`, asJson(REGISTRATION));
  const commands = `${controlPlane.adminUrl}/admin/agents/one/commands`;
  const made = await fetch(commands, { method: 'POST', body: '{"type":"deploy"}' });
  const { id } = (await made.json()) as { id: string };
  const cancel = async () => (await fetch(`${commands}/${id}/cancel`, { method: 'POST' })).status;
  expect([await cancel(), await cancel()]).toEqual([200, 409]);
  const headers = { authorization: 'Bearer token' };
  const fetched = await fetch(`${controlPlane.url}/api/v1/agents/one/commands`, { headers });
  expect(await fetched.json()).toEqual({ commands: [] });
});

test('faults hit as many requests as asked for, and no other path', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  const faults = `${controlPlane.adminUrl}/admin/faults`;
  const add = (fault: object) => fetch(faults, { method: 'POST', body: JSON.stringify(fault) });
  const health = async (): Promise<number | string> => {
    try {
      // Of a kept connection that closes, fetch makes a new one and asks again.
      const url = `${controlPlane.url}/api/v1/health`;
      return (await fetch(url, { keepalive: false })).status;
    } catch {
      return 'closed';
    }
  };
  expect((await add({ kind: 'meteor' })).status).toBe(400);
  await add({ kind: '500', count: 2 });
  await add({ kind: 'drop', path: '/health' });
  await add({ kind: '429', path: '/elsewhere' });
  expect([await health(), await health(), await health(), await health()]).toEqual([
    ...[500, 500, 'closed', 200],
  ]);
  await add({ kind: '401', count: 5 });
  await fetch(faults, { method: 'DELETE' });
  expect(await health()).toBe(200);
});
