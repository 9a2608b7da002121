/** What a control plane may rely on, whichever transport carries the session. */
import { describe, expect, test } from 'bun:test';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  startControlPlane,
} from '../support/control-plane/control-plane.ts';
import type { Fault } from '../support/control-plane/faults.ts';
import type { CommandRecord } from '../support/control-plane/store.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { AGENT_ID, STATUS, startContractAgent, TOKEN } from './agent.ts';

const LIMIT_MS = 20_000;
/** What waits for a resend waits a tenth. */
const HURRY = 10;

const TRANSPORTS = ['rest', 'websocket'] as const;
type Transport = (typeof TRANSPORTS)[number];

/** A control plane that offers this transport alone. */
const offering = (transport: Transport, more: Partial<ControlPlaneOptions> = {}) =>
  startControlPlane({
    token: TOKEN,
    dialect: { rest: transport === 'rest', websocket: transport === 'websocket' },
    ...more,
  });

const agentOf = (controlPlane: ControlPlane, transport: Transport, hurry = 1) =>
  startContractAgent({ url: controlPlane.url, transport, hurry });

const registered = (controlPlane: ControlPlane, times = 1) =>
  controlPlane.waitFor(() => {
    const agent = controlPlane.store.agent(AGENT_ID);
    return agent !== undefined && agent.registrations >= times && agent.last_heartbeat !== null
      ? agent
      : undefined;
  }, LIMIT_MS);

async function queue(
  controlPlane: ControlPlane,
  type: string,
  payload: Record<string, unknown> = { name: 'a' },
): Promise<string> {
  const body = JSON.stringify({ type, payload });
  const url = `${controlPlane.adminUrl}/admin/agents/${AGENT_ID}/commands`;
  const made = await fetch(url, { method: 'POST', body });
  return ((await made.json()) as { id: string }).id;
}

const finished = (controlPlane: ControlPlane, id: string): Promise<CommandRecord> =>
  controlPlane.waitFor(() => {
    const command = controlPlane.store.command(AGENT_ID, id);
    return command?.state === 'done' ? command : undefined;
  }, LIMIT_MS);

/** The trouble of one transport that has the same meaning as that of the other. */
function trouble(
  controlPlane: ControlPlane,
  transport: Transport,
  kind: Fault['kind'],
  what: 'command' | 'result' | 'heartbeat',
  count = 1,
): void {
  const path = { command: '/commands', result: '/result', heartbeat: '/heartbeat' }[what];
  const [message, direction] = {
    command: ['command', 'out'],
    result: ['command_result', 'in'],
    heartbeat: ['heartbeat', 'in'],
  }[what] as [string, Fault['direction']];
  controlPlane.faults.add({
    kind,
    count,
    path,
    message,
    direction,
    delay_ms: 200,
    error: 'asked for',
    on: transport === 'rest' ? 'request' : 'message',
  });
}

const problems = (controlPlane: ControlPlane) => controlPlane.store.problems(AGENT_ID);

describe.each(TRANSPORTS)('over %s', (transport) => {
  test('it registers, sends heartbeats and reports the cluster', async () => {
    await using controlPlane = offering(transport);
    await using _ = await agentOf(controlPlane, transport);
    const agent = await registered(controlPlane);
    expect([agent.transport, agent.cluster_name, agent.version]).toEqual([
      ...[transport, 'contract', '1.2.3'],
    ]);
    const status = await controlPlane.waitFor(
      () => controlPlane.store.agent(AGENT_ID)?.last_status ?? undefined,
      LIMIT_MS,
    );
    expect(status).toEqual(STATUS);
    expect(problems(controlPlane)).toEqual([]);
  });

  test('a command has its effect once and its result comes once', async () => {
    await using controlPlane = offering(transport);
    await using agent = await agentOf(controlPlane, transport);
    await registered(controlPlane);
    const id = await queue(controlPlane, 'count');
    expect(await finished(controlPlane, id)).toMatchObject({
      extra_results: 0,
      result: { success: true, output: 'counted', data: { name: 'a' } },
    });
    expect([...agent.effects]).toEqual([[id, 1]]);
    expect(problems(controlPlane)).toEqual([]);
  });

  test.each(['duplicate', 'drop', 'delay', 'reorder'] as const)(
    'commands that meet "%s" on their way have each their effect once',
    async (kind) => {
      await using controlPlane = offering(transport);
      await using agent = await agentOf(controlPlane, transport);
      await registered(controlPlane);
      trouble(controlPlane, transport, kind, 'command', 2);
      const ids = [await queue(controlPlane, 'count'), await queue(controlPlane, 'count')];
      for (const id of ids) {
        expect(await finished(controlPlane, id)).toMatchObject({ extra_results: 0 });
      }
      expect(ids.map((id) => agent.effects.get(id))).toEqual([1, 1]);
      expect(problems(controlPlane)).toEqual([]);
    },
  );

  test.each(['drop', 'close', 'duplicate', 'delay'] as const)(
    'a result that meets "%s" arrives, and the effect is not repeated',
    async (kind) => {
      await using controlPlane = offering(transport);
      await using agent = await agentOf(controlPlane, transport, HURRY);
      await registered(controlPlane);
      // Over REST a result comes twice where the answer to the first one was lost.
      const again = kind === 'duplicate' && transport === 'rest' ? 'close' : kind;
      trouble(controlPlane, transport, again, 'result');
      const id = await queue(controlPlane, 'count');
      expect(await finished(controlPlane, id)).toMatchObject({ extra_results: 0 });
      expect(agent.effects.get(id)).toBe(1);
      expect(problems(controlPlane)).toEqual([]);
    },
  );

  test('a result that comes twice is the same, and the second one is acknowledged too', async () => {
    await using controlPlane = offering(transport);
    await using agent = await agentOf(controlPlane, transport, HURRY);
    await registered(controlPlane);
    trouble(controlPlane, transport, transport === 'rest' ? 'close' : 'duplicate', 'result');
    const id = await queue(controlPlane, 'count');
    const results = await controlPlane.waitFor(() => {
      const found = controlPlane.store.events(id).filter(({ kind }) => kind.includes('result'));
      return found.length >= 2 ? found : undefined;
    }, LIMIT_MS);
    expect(results.length).toBe(2);
    expect([(await finished(controlPlane, id)).extra_results, agent.effects.get(id)]).toEqual([
      ...[0, 1],
    ]);
  });

  test('a deploy brings about its objects, and their state can be asked for', async () => {
    await using controlPlane = offering(transport);
    await using agent = await agentOf(controlPlane, transport);
    await registered(controlPlane);
    const web = { name: 'web', image: 'example/web:1', ports: [{ container_port: 80 }] };
    const deployed = await finished(controlPlane, await queue(controlPlane, 'deploy', web));
    expect(deployed).toMatchObject({ extra_results: 0, result: { success: true } });
    const id = await queue(controlPlane, 'get_resources', { kinds: ['deployments'] });
    const { result } = await finished(controlPlane, id);
    expect(result).toMatchObject({ success: true });
    expect(JSON.stringify(result?.data)).toContain('"web"');
    const deployment = '/apis/apps/v1/namespaces/default/deployments/web';
    expect(agent.kubernetes.object(deployment)?.metadata['generation']).toBe(1);
    expect(problems(controlPlane)).toEqual([]);
  });

  test('a deploy that is handed out twice, and whose result is lost, changes one thing once', async () => {
    await using controlPlane = offering(transport);
    await using agent = await agentOf(controlPlane, transport, HURRY);
    await registered(controlPlane);
    trouble(controlPlane, transport, 'duplicate', 'command');
    trouble(controlPlane, transport, 'drop', 'result');
    const id = await queue(controlPlane, 'deploy', { name: 'web', image: 'example/web:1' });
    expect(await finished(controlPlane, id)).toMatchObject({
      extra_results: 0,
      result: { success: true, metadata: { attempts: 1 } },
    });
    const applied = agent.kubernetes.requests.filter((line) =>
      line.startsWith('PATCH /apis/apps/v1/namespaces/default/deployments/web'),
    );
    expect(applied).toHaveLength(1);
    expect(problems(controlPlane)).toEqual([]);
  });

  test('an unknown type, and a payload that is wrong, are answered with their codes', async () => {
    await using controlPlane = offering(transport);
    await using _ = await agentOf(controlPlane, transport);
    await registered(controlPlane);
    const unknown = await queue(controlPlane, 'teleport');
    const bad = await queue(controlPlane, 'count', { name: 1, extra: true });
    const codes: unknown[] = [];
    for (const id of [unknown, bad]) {
      codes.push((await finished(controlPlane, id)).result?.error_code);
    }
    expect(codes).toEqual(['COMMAND_UNSUPPORTED', 'COMMAND_INVALID']);
  });

  test('a restart of the agent repeats no finished command and loses no result', async () => {
    await using controlPlane = offering(transport);
    await using agent = await agentOf(controlPlane, transport);
    await registered(controlPlane);
    const first = await queue(controlPlane, 'count');
    await finished(controlPlane, first);
    await agent.restart();
    await registered(controlPlane, 2);
    const second = await queue(controlPlane, 'count');
    await finished(controlPlane, second);
    expect([...agent.effects.values()]).toEqual([1, 1]);
    expect(problems(controlPlane)).toEqual([]);
  });

  test('a control plane that restarts finds its agent and its commands again', async () => {
    await using directory = await tempDirectory();
    const databasePath = `${directory.path}/cp.db`;
    const before = offering(transport, { databasePath });
    const listen = { hostname: '127.0.0.1', port: before.port };
    await using agent = await agentOf(before, transport);
    await registered(before);
    await before[Symbol.asyncDispose]();
    await using after = offering(transport, { databasePath, listen });
    const id = await queue(after, 'count');
    await finished(after, id);
    expect(agent.effects.get(id)).toBe(1);
    expect(problems(after)).toEqual([]);
  });

  test('one that has forgotten its agent gets it back', async () => {
    await using controlPlane = offering(transport);
    await using _ = await agentOf(controlPlane, transport);
    await registered(controlPlane);
    controlPlane.store.forget(AGENT_ID);
    expect((await registered(controlPlane)).registrations).toBe(1);
  });

  test('a token that is refused and then accepted again: the session comes back', async () => {
    await using controlPlane = offering(transport);
    controlPlane.faults.add({
      kind: '401',
      on: 'request',
      count: 2,
      path: '/api/v1/',
      message: '',
      direction: 'in',
      delay_ms: 0,
      error: '',
    });
    await using agent = await agentOf(controlPlane, transport, 50);
    await registered(controlPlane);
    expect(agent.log.entries.map(({ fields }) => fields['error_code'])).toContain('TOKEN_REJECTED');
    await waitUntil('it is connected', 10_000, async () => {
      return agent.state.snapshot().phase === 'connected';
    });
  });

  test('a pause that the server asks for is kept', async () => {
    await using controlPlane = offering(transport);
    controlPlane.faults.add({
      kind: '429',
      on: 'request',
      count: 1,
      path: '/api/v1/',
      message: '',
      direction: 'in',
      delay_ms: 0,
      error: '',
      retry_after_seconds: 1,
    });
    const began = performance.now();
    await using _ = await agentOf(controlPlane, transport);
    await registered(controlPlane);
    expect(performance.now() - began).toBeGreaterThan(950);
  });
});

describe('over the WebSocket', () => {
  test('a running command is cancelled, tells its progress, and says so', async () => {
    await using controlPlane = offering('websocket');
    await using _ = await agentOf(controlPlane, 'websocket');
    await registered(controlPlane);
    const id = await queue(controlPlane, 'wait');
    await controlPlane.waitFor(
      () => (controlPlane.store.progress(id).length > 0 ? true : undefined),
      LIMIT_MS,
    );
    const url = `${controlPlane.adminUrl}/admin/agents/${AGENT_ID}/commands/${id}/cancel`;
    expect((await fetch(url, { method: 'POST' })).status).toBe(202);
    const { result } = await finished(controlPlane, id);
    expect(result).toMatchObject({ success: false, error_code: 'COMMAND_CANCELLED' });
    expect(problems(controlPlane)).toEqual([]);
  });

  test('an acknowledgement that is lost changes nothing', async () => {
    await using controlPlane = offering('websocket');
    await using agent = await agentOf(controlPlane, 'websocket');
    await registered(controlPlane);
    controlPlane.faults.add({
      kind: 'drop',
      on: 'message',
      count: 1,
      path: '',
      message: 'command_ack',
      direction: 'in',
      delay_ms: 0,
      error: '',
    });
    const id = await queue(controlPlane, 'count');
    await finished(controlPlane, id);
    expect(agent.effects.get(id)).toBe(1);
    expect(problems(controlPlane)).toEqual([]);
  });

  test('the session goes on at the gateway, and so do its commands', async () => {
    await using controlPlane = offering('websocket', {
      dialect: { gateway: true, register_in_progress: 2 },
    });
    await using _ = await agentOf(controlPlane, 'websocket');
    expect((await registered(controlPlane)).transport).toBe('gateway');
    const id = await queue(controlPlane, 'count');
    await finished(controlPlane, id);
    expect(problems(controlPlane)).toEqual([]);
  });

  test('one without our extension is served over REST beside it', async () => {
    await using controlPlane = offering('websocket', { dialect: { extension: false } });
    await using _ = await agentOf(controlPlane, 'websocket');
    expect((await registered(controlPlane)).transport).toBe('websocket');
    const id = await queue(controlPlane, 'count');
    await finished(controlPlane, id);
    expect(controlPlane.store.events(id).map(({ transport }) => transport)).not.toContain(
      'websocket',
    );
    expect(problems(controlPlane)).toEqual([]);
  });

  test('garbage and unknown messages end nothing', async () => {
    await using controlPlane = offering('websocket');
    await using _ = await agentOf(controlPlane, 'websocket');
    await registered(controlPlane);
    controlPlane.link(AGENT_ID)?.send('gossip', { a: 1 }, 'x1');
    controlPlane.link(AGENT_ID)?.send('gossip', { a: 2 }, 'x2');
    controlPlane.link(AGENT_ID)?.send('command', { type: 'count' });
    const id = await queue(controlPlane, 'count');
    await finished(controlPlane, id);
    const agent = controlPlane.store.agent(AGENT_ID);
    expect([agent?.fallbacks, agent?.registrations, agent?.protocol_errors]).toEqual([
      ...[['gossip'], 1, []],
    ]);
  });
});
