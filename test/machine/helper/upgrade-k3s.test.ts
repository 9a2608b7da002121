/** Root's helper asks the nodes of a cluster for another k3s: what was allowed, one after the other. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { K3S_STATE_ANNOTATION, K3S_WANTED_ANNOTATION } from '../../../src/core/labels.ts';
import type { HandedConnection } from '../../../src/core/ports.ts';
import { LedK3s } from '../../../src/protocol/helper.ts';
import { setUp } from '../../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../../support/simulated-machine.ts';

const OLD = 'v1.36.3+k3s1';
const NEW = 'v1.37.0+k3s1';
const API = 'https://127.0.0.1:6443';
const DATA = '/var/lib/rancher/k3s';
const POLICY = '/etc/pipeops-agent/policy.yaml';

interface PlayedNode {
  readonly isServer: boolean;
  version: string;
  isReady: boolean;
  annotations: Record<string, string>;
}

let machine: SimulatedMachine;
let nodes: Map<string, PlayedNode>;

beforeEach(async () => {
  machine = await simulatedMachine();
  expect((await setUp(machine, 'install')).exitCode).toBe(0);
  await machine.put(`${DATA}/server/tls/client-admin.crt`, 'of the administrator');
  await machine.put(`${DATA}/server/tls/client-admin.key`, 'the key');
  await machine.put(POLICY, 'host: { upgrade_k3s: allow }\n', 0o640);
  const played = (isServer: boolean): PlayedNode => ({
    ...{ isServer, version: OLD, isReady: true, annotations: {} },
  });
  nodes = new Map([
    ['node-1', played(true)],
    ['worker-b', played(false)],
    ['worker-a', played(false)],
  ]);
  machine.web.set(`${API}/api/v1/nodes`, () =>
    Response.json({ metadata: {}, items: [...nodes.keys()].map(shown) }),
  );
  for (const name of nodes.keys()) {
    machine.web.set(`${API}/api/v1/nodes/${name}`, (_, init) => {
      const node = nodes.get(name);
      if (node === undefined) {
        return Response.json({ kind: 'Status', reason: 'NotFound' }, { status: 404 });
      }
      if (init?.method === 'PATCH') {
        Object.assign(node.annotations, JSON.parse(`${init.body}`).metadata.annotations);
      }
      return Response.json(shown(name));
    });
  }
});
afterEach(() => machine[Symbol.asyncDispose]());

function shown(name: string) {
  const node = nodes.get(name);
  const labels = node?.isServer ? { 'node-role.kubernetes.io/control-plane': 'true' } : {};
  return {
    metadata: { name, labels, annotations: { ...node?.annotations } },
    spec: {},
    status: {
      conditions: [{ type: 'Ready', status: node?.isReady ? 'True' : 'False' }],
      nodeInfo: { kubeletVersion: node?.version },
    },
  };
}

async function ask(verb: string, fields: object = {}, commandId = 'command-1') {
  const answers: Record<string, unknown>[] = [];
  const connection: HandedConnection = {
    peer: () => ({ pid: 1, uid: 0 }),
    readLine: async () => JSON.stringify({ verb, command_id: commandId, ...fields }),
    write: async (text) => void answers.push(JSON.parse(text)),
  };
  expect((await machine.run(['helper', 'serve'], { connection })).exitCode).toBe(0);
  return answers.at(-1) ?? {};
}

const allow = (fields: object = {}, commandId?: string) =>
  ask('upgrade_k3s', { version: NEW, drain: true, ...fields }, commandId);
const next = () => ask('upgrade_k3s_next');

/** `<node> <state>` of each. */
function statesIn(answer: Record<string, unknown>): readonly string[] {
  const led = LedK3s.parse(answer['data']);
  return led.state === 'none' ? [] : led.nodes.map(({ node, state }) => `${node} ${state}`);
}

/** As its machine tells it. */
function answered(name: string, state: 'begun' | 'done' | 'failed', why: string | null = null) {
  const node = nodes.get(name);
  const { id } = JSON.parse(node?.annotations[K3S_WANTED_ANNOTATION] ?? '{}');
  Object.assign(node?.annotations ?? {}, {
    [K3S_STATE_ANNOTATION]: JSON.stringify({ id, state, why }),
  });
  if (node !== undefined && state === 'done') {
    node.version = NEW;
  }
}

test('servers first, then workers by name, and the next one only when one is done', async () => {
  expect(statesIn(await allow())).toEqual(['node-1 waits', 'worker-a waits', 'worker-b waits']);
  expect(nodes.get('node-1')?.annotations).toEqual({});
  expect(statesIn(await next())[0]).toBe('node-1 asked');
  const wanted: unknown = JSON.parse(nodes.get('node-1')?.annotations[K3S_WANTED_ANNOTATION] ?? '');
  expect(wanted).toEqual({ id: expect.stringMatching(/^[0-9a-f]{16}$/), to: NEW, drain: true });
  answered('node-1', 'begun');
  expect(statesIn(await next())).toEqual(['node-1 begun', 'worker-a waits', 'worker-b waits']);
  answered('node-1', 'done');
  expect(statesIn(await next())).toEqual(['node-1 done', 'worker-a asked', 'worker-b waits']);
  answered('worker-a', 'failed', 'no room');
  expect(statesIn(await next())).toEqual(['node-1 done', 'worker-a failed', 'worker-b waits']);
  expect(statesIn(await ask('upgrade_k3s_state'))).toEqual(statesIn(await next()));
});

test('a command that asks again changes nothing, and another one asks a node anew that had failed', async () => {
  await allow();
  await next();
  answered('node-1', 'failed', 'no room');
  expect(statesIn(await allow())[0]).toBe('node-1 failed');
  expect(statesIn(await allow({}, 'command-2'))[0]).toBe('node-1 waits');
  expect(statesIn(await ask('upgrade_k3s_next', {}, 'command-2'))[0]).toBe('node-1 asked');
  expect(await ask('upgrade_k3s_state')).toEqual({ data: { state: 'none' } });
});

test('one node alone, and one that has left meanwhile', async () => {
  await allow();
  nodes.delete('worker-b');
  expect(statesIn(await ask('upgrade_k3s_state'))[2]).toBe('worker-b gone');
  const refused = await allow({ node: 'worker-a' }, 'command-2');
  expect(refused).toMatchObject({ error: { code: 'VERSION_REFUSED' } }); // Not before its server.
  expect(await allow({ node: 'worker-z' }, 'command-3')).toMatchObject({
    error: { code: 'NOT_FOUND' },
  });
  expect(statesIn(await allow({ node: 'node-1' }, 'command-4'))).toEqual(['node-1 waits']);
});

test.each([
  ['two minor versions', (): unknown => undefined, 'v1.38.0+k3s1', 'VERSION_REFUSED'],
  ['an older version', (): unknown => undefined, 'v1.36.1+k3s1', 'VERSION_REFUSED'],
  [
    'a node that is not ready',
    () => Object.assign(nodes.get('worker-b') ?? {}, { isReady: false }),
    NEW,
    'K3S_NOT_READY',
  ],
] as const)('%s is refused before any node is asked', async (_, prepare, version, code) => {
  prepare();
  expect(await allow({ version })).toMatchObject({ error: { code } });
  expect(await next()).toMatchObject({ error: { code: 'NOT_FOUND' } });
  expect([...nodes.values()].map(({ annotations }) => annotations)).toEqual([{}, {}, {}]);
});

test('a person says yes once, for all nodes of this command', async () => {
  await machine.put(POLICY, 'preset: standard\n', 0o640);
  const first = await allow();
  expect(first).toMatchObject({ error: { code: 'APPROVAL_NEEDED' } });
  expect(await next()).toMatchObject({ error: { code: 'NOT_FOUND' } });
  const { id } = (first['error'] as { details: { id: string } }).details;
  expect((await machine.run(['host', 'approve', id])).exitCode).toBe(0);
  expect(statesIn(await allow())[0]).toBe('node-1 waits');
  expect(statesIn(await next())[0]).toBe('node-1 asked');
  await machine.put(POLICY, 'host: { upgrade_k3s: deny }\n', 0o640);
  expect(await next()).toMatchObject({ error: { code: 'POLICY_DENIED' } });
});

test('a yes ends when the time of its command is over, and how far it is can still be seen', async () => {
  await allow();
  const path = '/var/lib/pipeops-agent-host/k3s-lead.json';
  const note = JSON.parse((await machine.files.readText(path)) ?? '');
  const allowed_at = new Date(Date.parse(note.allowed_at) - 8 * 86_400_000 - 1).toISOString();
  await machine.put(path, JSON.stringify({ ...note, allowed_at }), 0o600);
  expect(await next()).toMatchObject({ error: { code: 'NOT_FOUND' } });
  expect(nodes.get('node-1')?.annotations).toEqual({});
  expect(statesIn(await ask('upgrade_k3s_state'))[0]).toBe('node-1 waits');
});

test('of what an earlier version has allowed no node begins, and how far it is can still be seen', async () => {
  await allow();
  const path = '/var/lib/pipeops-agent-host/k3s-lead.json';
  const { allowed_at: _, ...note } = JSON.parse((await machine.files.readText(path)) ?? '');
  await machine.put(path, JSON.stringify(note), 0o600);
  expect(await next()).toMatchObject({ error: { code: 'NOT_FOUND' } });
  expect(nodes.get('node-1')?.annotations).toEqual({});
  expect(statesIn(await ask('upgrade_k3s_state'))[0]).toBe('node-1 waits');
});

test('outside of its windows no node begins, and how far it is can be seen', async () => {
  await allow();
  const day = new Date(Date.now() + 2 * 86_400_000).toUTCString().slice(0, 3).toLowerCase();
  const windows = `windows: { upgrade_k3s: ["${day} 00:00-23:59"] }\n`;
  await machine.put(POLICY, `host: { upgrade_k3s: allow }\n${windows}`, 0o640);
  expect(await next()).toMatchObject({ error: { code: 'OUTSIDE_WINDOW' } });
  expect(statesIn(await ask('upgrade_k3s_state'))[0]).toBe('node-1 waits');
});
