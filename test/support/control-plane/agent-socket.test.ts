import { expect, test } from 'bun:test';
import { AGENT_MESSAGE_LIMIT_BYTES } from '../../../src/protocol/session/messages.ts';
import { until } from '../until.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { GATEWAY_PATH } from './dialect.ts';
import type { Fault } from './faults.ts';
import { REGISTER, rawAgent, registeredAgent } from './raw-agent.ts';

const LIMIT_MS = 5_000;

const RESULT = {
  success: true,
  output: 'done',
  metadata: {
    attempts: 1,
    started_at: null,
    finished_at: '2026-01-01T00:00:00.000Z',
    duration_ms: 1,
    truncated: false,
  },
  timestamp: '2026-01-01T00:00:00.000Z',
};

const REPORT = {
  removed: {},
  metrics: { cpu_usage: 1, memory_usage: 2, pod_count: 0, node_count: 0 },
  timestamp: '2026-01-01T00:00:00.000Z',
};

const commandsOf = (controlPlane: ControlPlane) =>
  `${controlPlane.adminUrl}/admin/agents/one/commands`;

async function queue(controlPlane: ControlPlane, type: string): Promise<string> {
  const body = JSON.stringify({ type });
  const made = await fetch(commandsOf(controlPlane), { method: 'POST', body });
  return ((await made.json()) as { id: string }).id;
}

const addFault = (controlPlane: ControlPlane, fault: Partial<Fault>) =>
  fetch(`${controlPlane.adminUrl}/admin/faults`, {
    method: 'POST',
    body: JSON.stringify({ on: 'message', ...fault }),
  });

test('an agent registers, is shown as connected, and its heartbeats are acknowledged', async () => {
  await using controlPlane = startControlPlane({
    token: 'token',
    dialect: { register_in_progress: 1, pace: { heartbeat_seconds: 7 } },
  });
  await expect(rawAgent(controlPlane, undefined, 'wrong')).rejects.toThrow('refused');
  await using agent = await rawAgent(controlPlane);
  agent.send('register', REGISTER, 'req_1_one');
  await agent.next('register_in_progress');
  const { payload, request_id: requestId } = await agent.next('register_success');
  const known = controlPlane.store.agent('one');
  expect([requestId, payload]).toEqual([
    'req_1_one',
    {
      cluster_id: known?.cluster_id,
      cluster_uuid: known?.cluster_uuid,
      name: 'test',
      status: 'active',
      workspace_id: 1,
      features: {
        supports_commands: true,
        supports_status_reports: true,
        supports_flow_control: true,
      },
      pace: { heartbeat_seconds: 7 },
    },
  ]);
  const metadata = {
    agent_version: '1.2.3',
    k8s_version: '',
    k8s_nodes: 1,
    k8s_pods: 2,
    cpu_usage: '1%',
    memory_usage: '2%',
    is_private: true,
    gateway_routes: 0,
  };
  const heartbeat = { agent_id: 'one', status: 'healthy', tunnel_status: 'connected', metadata };
  agent.send('heartbeat', { ...heartbeat, cluster_id: known?.cluster_id });
  expect((await agent.next('heartbeat_ack')).payload).toEqual({ pace: { heartbeat_seconds: 7 } });
  const shown = await (await fetch(`${controlPlane.adminUrl}/admin/agents/one`)).json();
  expect(shown).toMatchObject({
    connected: true,
    transport: 'websocket',
    heartbeats: 1,
    protocol_errors: [],
  });
  expect(await (await fetch(controlPlane.adminUrl)).text()).toContain('>connected');
});

test('an agent that exists already registers without our features, and tells of its monitoring', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await using agent = await rawAgent(controlPlane);
  const { supports_commands, supports_status_reports, supports_flow_control, ...features } =
    REGISTER.features;
  agent.send('register', { ...REGISTER, features }, 'req_1_one');
  const { payload } = await agent.next('register_success');
  const metadata = {
    agent_version: '1.2.3',
    k8s_version: '',
    k8s_nodes: 1,
    k8s_pods: 2,
    cpu_usage: '1%',
    memory_usage: '2%',
    is_private: true,
    gateway_routes: 0,
  };
  agent.send('heartbeat', {
    agent_id: 'one',
    cluster_id: payload['cluster_id'],
    status: 'healthy',
    tunnel_status: 'connected',
    metadata,
    prometheus_url: 'http://p:9090',
    prometheus_username: 'u',
    prometheus_password: 'p',
    prometheus_ssl: false,
    loki_url: 'http://l:3100',
    grafana_url: 'http://g:3000',
    worker_join: { provider: 'k3s' },
  });
  await agent.next('heartbeat_ack');
  expect(controlPlane.store.problems('one')).toEqual([]);
});

test('the fleet page tells an agent that was stopped from one that is down', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  const isGone = () => controlPlane.link('one') === undefined;
  const session = async () => {
    const html = await (await fetch(`${controlPlane.adminUrl}/`)).text();
    return /class="badge [^>]+>(connected|stopped|down)(?: since [^<]+)?</.exec(html)?.[1];
  };
  {
    await using _agent = await registeredAgent(controlPlane);
    expect(await session()).toBe('connected');
  }
  await until('its connection is gone', isGone);
  expect(await session()).toBe('stopped');
  const lost = await registeredAgent(controlPlane);
  expect(await session()).toBe('connected');
  lost.terminate();
  await until('its connection is gone', isGone);
  expect(await session()).toBe('down');
});

test.each([
  ['no JSON', '{', 'a message that is no envelope'],
  [
    'a field too many',
    '{"type":"ping","payload":{},"extra":1,"timestamp":"2026-01-01T00:00:00Z"}',
    'Unrecognized key',
  ],
  [
    'an unknown type',
    '{"type":"gossip","payload":{},"timestamp":"2026-01-01T00:00:00Z"}',
    'gossip: no such message',
  ],
  [
    'a wrong field',
    '{"type":"heartbeat","payload":{},"timestamp":"2026-01-01T00:00:00Z"}',
    'heartbeat: cluster_id',
  ],
])('%s is recorded against the agent', async (_, text, problem) => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await using agent = await registeredAgent(controlPlane);
  agent.sendText(text);
  const problems = await controlPlane.waitFor(() => {
    const found = controlPlane.store.problems('one');
    return found.length > 0 ? found : undefined;
  }, LIMIT_MS);
  expect(problems).toEqual([expect.stringContaining(problem)]);
});

test('a message over the limit closes the connection with its code', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await using agent = await registeredAgent(controlPlane);
  agent.sendText('x'.repeat(AGENT_MESSAGE_LIMIT_BYTES + 1));
  expect(await agent.closed).toBe(1009);
});

test('a command is sent at once, again until acknowledged, and its result is kept once', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await using agent = await registeredAgent(controlPlane);
  const id = await queue(controlPlane, 'scale');
  expect((await agent.next('command')).payload).toMatchObject({ id, type: 'scale', payload: {} });
  expect((await agent.next('command')).payload).toMatchObject({ id });
  agent.send('command_ack', { id, of: 'command', outcome: 'accepted' });
  const timestamp = '2026-01-01T00:00:00.000Z';
  agent.send('command_progress', { id, sequence: 1, attempt: 1, message: 'half', timestamp });
  agent.send('command_result', { id, result: RESULT });
  agent.send('command_result', { id, result: RESULT });
  for (let times = 0; times < 2; times += 1) {
    const { payload } = await agent.next('command_ack');
    expect(payload).toEqual({ id, of: 'result', outcome: 'kept' });
  }
  const seen = await (await fetch(`${commandsOf(controlPlane)}/${id}`)).json();
  const event = (kind: string, outcome: string | null) => ({
    kind,
    transport: 'websocket',
    outcome,
  });
  expect(seen).toEqual({
    state: 'done',
    extra_results: 0,
    result: RESULT,
    progress: [{ id, sequence: 1, attempt: 1, message: 'half', timestamp }],
    events: [
      ...[event('delivered', null), event('delivered', null), event('acknowledged', 'accepted')],
      ...[event('result', 'first'), event('result', 'same')],
    ],
  });
});

test('a running command is cancelled over the connection', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await using agent = await registeredAgent(controlPlane);
  const id = await queue(controlPlane, 'scale');
  await agent.next('command');
  const answer = await fetch(`${commandsOf(controlPlane)}/${id}/cancel`, { method: 'POST' });
  expect(answer.status).toBe(202);
  expect((await agent.next('command_cancel')).payload).toEqual({ id });
});

test('reports in parts and deltas become one status; a gap is asked about', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await using agent = await registeredAgent(controlPlane);
  const report = (fields: object) => agent.send('status_report', { ...REPORT, ...fields });
  const full = { kind: 'full', sequence: 1, parts: 2 };
  report({ ...full, part: 1, changed: { namespaces: ['a', 'b'] } });
  report({ ...full, part: 2, changed: { namespaces: ['c'] } });
  report({
    kind: 'delta',
    sequence: 2,
    base: 1,
    part: 1,
    parts: 1,
    changed: { namespaces: ['d'] },
    removed: { namespaces: ['a'] },
  });
  const status = await controlPlane.waitFor(() => {
    const last = controlPlane.store.agent('one')?.last_status;
    return last?.namespaces?.includes('d') ? last : undefined;
  }, LIMIT_MS);
  expect(status.namespaces).toEqual(['b', 'c', 'd']);
  report({ kind: 'delta', sequence: 4, base: 3, part: 1, parts: 1, changed: {} });
  await agent.next('status_request');
  expect(controlPlane.store.agent('one')).toMatchObject({ status_gaps: 1, protocol_errors: [] });
});

test('with a gateway the agent is sent on, and is known there', async () => {
  await using controlPlane = startControlPlane({ token: 'token', dialect: { gateway: true } });
  await using agent = await rawAgent(controlPlane);
  agent.send('register', REGISTER, 'req_1_one');
  const { payload } = await agent.next('register_success');
  expect(payload['gateway_ws_url']).toBe(
    `${controlPlane.url.replace('http', 'ws')}${GATEWAY_PATH}`,
  );
  await agent[Symbol.asyncDispose]();
  const query = `cluster_uuid=${payload['cluster_uuid']}&agent_version=1.2.3&supports_streaming=true`;
  const rest = 'supports_binary=true&supports_websocket=true&supports_yamux=true';
  await using there = await rawAgent(controlPlane, `${GATEWAY_PATH}?${query}&${rest}`);
  expect(controlPlane.link('one')?.kind).toBe('gateway');
  const id = await queue(controlPlane, 'scale');
  expect((await there.next('command')).payload).toMatchObject({ id });
  expect(controlPlane.store.agent('one')?.protocol_errors).toEqual([
    'dial of the gateway: supports_response_streaming is not true',
  ]);
  await using stranger = await rawAgent(controlPlane, `${GATEWAY_PATH}?cluster_uuid=x`);
  expect((await stranger.next('error')).payload).toEqual({ error: 'cluster not found' });
});

test('without the extension no command goes over the connection, and none is taken', async () => {
  await using controlPlane = startControlPlane({ token: 'token', dialect: { extension: false } });
  await using agent = await registeredAgent(controlPlane);
  const id = await queue(controlPlane, 'scale');
  agent.send('command_ack', { id, of: 'command', outcome: 'accepted' });
  const problems = await controlPlane.waitFor(() => {
    const found = controlPlane.store.problems('one');
    return found.length > 0 ? found : undefined;
  }, LIMIT_MS);
  expect(problems).toEqual(['command_ack, which was not announced here']);
  const headers = { authorization: 'Bearer token' };
  const fetched = await fetch(`${controlPlane.url}/api/v1/agents/one/commands`, { headers });
  expect(await fetched.json()).toMatchObject({ commands: [{ id }] });
});

test('one that counts on acknowledgements sends no acknowledged command again', async () => {
  const dialect = { sends_acknowledged_again: false };
  await using controlPlane = startControlPlane({ token: 'token', dialect });
  const first = await registeredAgent(controlPlane);
  const acknowledged = await queue(controlPlane, 'restart');
  await first.next('command');
  first.send('command_ack', { id: acknowledged, of: 'command', outcome: 'accepted' });
  await until('it is acknowledged', () => {
    return controlPlane.store.command('one', acknowledged)?.state === 'acknowledged';
  });
  await first[Symbol.asyncDispose]();
  await using second = await registeredAgent(controlPlane);
  const other = await queue(controlPlane, 'restart');
  expect((await second.next('command')).payload).toMatchObject({ id: other });
});

test('dialects without one of the transports answer 404 there', async () => {
  await using rest = startControlPlane({ token: 'token', dialect: { websocket: false } });
  await expect(rawAgent(rest)).rejects.toThrow('refused');
  await using webSocket = startControlPlane({ token: 'token', dialect: { rest: false } });
  const headers = { authorization: 'Bearer token' };
  const fetched = await fetch(`${webSocket.url}/api/v1/agents/one/commands`, { headers });
  expect(fetched.status).toBe(404);
});

test('messages are lost, doubled, overtaken, refused and cut off as asked', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await using agent = await registeredAgent(controlPlane);
  const ping = (id: string) => agent.send('ping', {}, id);
  await addFault(controlPlane, { kind: 'drop', message: 'pong' });
  await addFault(controlPlane, { kind: 'duplicate', message: 'pong' });
  await addFault(controlPlane, { kind: 'reorder', message: 'pong' });
  for (const id of ['lost', 'twice', 'late', 'early']) {
    ping(id);
  }
  const ids: unknown[] = [];
  for (let count = 0; count < 4; count += 1) {
    ids.push((await agent.next('pong')).request_id);
  }
  expect(ids).toEqual(['twice', 'twice', 'early', 'late']);
  await addFault(controlPlane, { kind: 'error', direction: 'in', error: 'no', count: 1 });
  ping('refused');
  expect(await agent.next('error')).toMatchObject({
    request_id: 'refused',
    payload: { error: 'no' },
  });
  await addFault(controlPlane, { kind: 'close', direction: 'in', message: 'ping' });
  ping('last');
  expect(await agent.closed).toBe(1006);
  const wrong = await addFault(controlPlane, { kind: '500' });
  expect(wrong.status).toBe(400);
});

test('a stalled connection stays open and answers nothing until it is over', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await using agent = await registeredAgent(controlPlane);
  await addFault(controlPlane, { kind: 'stall', direction: 'in', message: 'ping', delay_ms: 300 });
  const began = performance.now();
  agent.send('ping', {}, 'slow');
  expect((await agent.next('pong')).request_id).toBe('slow');
  expect(performance.now() - began).toBeGreaterThan(250);
});

test('the newer connection of an agent takes the place of the older one', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  const before = await registeredAgent(controlPlane);
  await using agent = await registeredAgent(controlPlane);
  expect(await before.closed).toBe(4001);
  const id = await queue(controlPlane, 'scale');
  expect((await agent.next('command')).payload).toMatchObject({ id });
});
