/** `leave`: pods are moved, the node goes, the machine is bare; or nothing of it has happened. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { errorOf, JOIN, JOIN_TOKEN } from '../support/installation.ts';
import { nextKill, SWEEP_TIMEOUT_MS } from '../support/sampled.ts';
import { CLUSTER_CA, MIRROR, simulatedMachine } from '../support/simulated-machine.ts';

type Machine = Awaited<ReturnType<typeof simulatedMachine>>;

interface Pod {
  readonly metadata: Record<string, unknown> & { name: string; namespace: string; uid: string };
}

const API = 'https://10.0.0.1:6443';
const NODE = `${API}/api/v1/nodes/node-1`;
const AGENT = '/var/lib/rancher/k3s/agent';
const NOTE = '/var/lib/pipeops-agent-host/leave.json';
/** More than it makes. */
const CHANGES_MAX = 200;

let machine: Machine;
let before: Record<string, string>;
/** What the cluster has; the node is undefined once it is taken out. */
let node:
  | { metadata: { annotations: Record<string, string> }; spec: Record<string, unknown> }
  | undefined;
let pods: Pod[];
/** Names of pods that a disruption budget keeps. */
let kept: Set<string>;
/** Whether the agent on the server does its part. */
let isServerAgentThere: boolean;
let patches: unknown[];

async function join(...flags: readonly string[]): Promise<void> {
  const env = { PIPEOPS_K3S_MIRROR: MIRROR };
  expect((await machine.run([...JOIN, ...flags], { env, stdin: JOIN_TOKEN })).exitCode).toBe(0);
  await machine.files.writeAtomic(`${AGENT}/server-ca.crt`, CLUSTER_CA, { mode: 0o644 });
  await machine.files.writeAtomic(`${AGENT}/client-kubelet.key`, 'the key', { mode: 0o600 });
}

beforeEach(async () => {
  machine = await simulatedMachine();
  before = await machine.tree();
  await join();
  node = { metadata: { annotations: {} }, spec: {} };
  pods = [];
  kept = new Set();
  isServerAgentThere = true;
  patches = [];
  machine.web.set(NODE, answerNode);
  machine.web.set(`${API}/api/v1/pods`, () => Response.json({ metadata: {}, items: pods }));
  machine.web.set(`${API}/api/v1/namespaces/`, answerPod);
});
afterEach(async () => await machine[Symbol.asyncDispose]());

function answerNode(_: string, init: RequestInit | undefined): Response {
  if (new Headers(init?.headers).has('authorization')) {
    return new Response('a worker has no token', { status: 401 });
  }
  if (init?.method === 'PATCH' && node !== undefined) {
    const patch = JSON.parse(String(init.body));
    patches.push(patch);
    node.spec = { ...node.spec, ...patch.spec };
    node.metadata.annotations = { ...node.metadata.annotations, ...patch.metadata?.annotations };
    const shown = structuredClone(node);
    if (isServerAgentThere && node.metadata.annotations['pipeops.io/left'] !== undefined) {
      node = undefined;
    }
    return Response.json(shown);
  }
  return node === undefined ? new Response('{}', { status: 404 }) : Response.json(node);
}

function answerPod(url: string, init: RequestInit | undefined): Response {
  const [, name = '', sub = ''] = /pods\/([^/?]+)(\/eviction)?/.exec(url) ?? [];
  if (sub !== '' && kept.has(name)) {
    const causes = [{ message: 'The disruption budget web needs 1 healthy pods and has 1' }];
    const status = { kind: 'Status', reason: 'TooManyRequests', details: { causes } };
    return Response.json(status, { status: 429 });
  }
  if (sub !== '' || init?.method === 'DELETE') {
    pods = pods.filter(({ metadata }) => metadata.name !== name);
  }
  return Response.json({ kind: 'Status', status: 'Success' });
}

function pod(name: string, controller: string | null = 'ReplicaSet'): Pod {
  const ownerReferences =
    controller === null ? [] : [{ controller: true, kind: controller, name: 'of-it' }];
  return { metadata: { name, namespace: 'shop', uid: name, ownerReferences } };
}

const leave = (...flags: readonly string[]) => machine.run(['leave', '--yes', '--json', ...flags]);
const isCordoned = () => node?.spec['unschedulable'] === true;

test('moves the pods, leaves, and the machine is as it was', async () => {
  pods = [pod('web-1'), pod('web-2'), pod('log', 'DaemonSet')];
  const ran = await leave();
  expect(JSON.parse(ran.stdout)).toMatchObject({
    node: 'node-1',
    taken_out: true,
    deleted: [],
    kept: [],
    left: [],
    evicted: ['shop/web-1', 'shop/web-2'],
  });
  expect(patches).toEqual([
    { spec: { unschedulable: true } },
    { metadata: { annotations: { 'pipeops.io/left': expect.any(String) } } },
  ]);
  // The cluster knows the node password no more, so it goes too: the name is free at once.
  expect(await machine.tree()).toEqual(before);
});

test('tells the way out of the machine, as an uninstallation does', async () => {
  machine.programs.set('getent', () => ({}));
  const { network } = JSON.parse((await leave()).stdout);
  const seen = { default_route: 'eth0', asked: 'api.pipeops.io', names: true };
  expect(network).toEqual({ before: seen, after: seen });
});

test('data of volumes stays, and is told before and after', async () => {
  const volume =
    '/var/lib/rancher/k3s/storage/pvc-01234567-89ab-cdef-0123-456789abcdef_shop_orders';
  machine.programs.set('du', () => ({ stdout: `2048\t${volume}` }));
  await machine.files.makeDirectory(volume, { mode: 0o777 });
  await machine.files.writeAtomic(`${volume}/db`, 'orders', { mode: 0o600 });
  const ran = await leave();
  expect(await machine.files.readText(`${volume}/db`)).toBe('orders');
  expect(ran.stderr).toContain(`Data that is kept on this machine: shop/orders, 2.0 MiB, in`);
  expect(JSON.parse(ran.stdout)).toMatchObject({
    taken_out: true,
    volumes: [{ path: volume, claim: 'shop/orders', bytes: 2 * 1024 ** 2 }],
  });
  expect(await machine.files.stat('/etc/rancher/node/password')).toBeUndefined();
});

test('a budget that does not give way ends it, and the node takes pods again', async () => {
  pods = [pod('web-1'), pod('alone', null)];
  kept.add('web-1');
  const refused = errorOf(await leave('--timeout', '1s'));
  expect(refused).toMatchObject({ exitCode: 8, code: 'DRAIN_INCOMPLETE' });
  expect(refused.message).toContain('shop/web-1 (The disruption budget web needs');
  expect(refused.message).toContain('shop/alone (nothing would start it again elsewhere');
  expect([isCordoned(), machine.units.get('k3s-agent.service')]).toEqual([false, 'active']);
});

test('a node that was cordoned before stays so', async () => {
  node = { metadata: { annotations: {} }, spec: { unschedulable: true } };
  pods = [pod('alone', null)];
  expect(errorOf(await leave('--timeout', '1s')).code).toBe('DRAIN_INCOMPLETE');
  expect(isCordoned()).toBe(true);
});

test('--force ends what cannot be moved', async () => {
  pods = [pod('web-1'), pod('alone', null)];
  kept.add('web-1');
  const ran = await leave('--timeout', '1s', '--force');
  expect(JSON.parse(ran.stdout)).toMatchObject({
    evicted: [],
    deleted: ['shop/web-1', 'shop/alone'],
    taken_out: true,
  });
});

test('a cluster that does not answer is told; --force leaves it, and keeps the way back', async () => {
  machine.web.delete(NODE);
  expect(errorOf(await leave())).toMatchObject({
    exitCode: 6,
    code: 'SERVER_UNREACHABLE',
    hint: expect.stringContaining('--force'),
  });
  expect(machine.units.get('k3s-agent.service')).toBe('active');
  const ran = await leave('--force');
  expect(JSON.parse(ran.stdout)).toMatchObject({
    taken_out: false,
    kept: ['/etc/rancher/node/password'],
  });
});

test('where the server it joined has left the cluster, it asks another one that k3s knows', async () => {
  machine.web.delete(NODE);
  machine.web.set('https://10.0.0.2:6443/api/v1/nodes/node-1', answerNode);
  machine.web.set('https://10.0.0.2:6443/api/v1/pods', () =>
    Response.json({ metadata: {}, items: [] }),
  );
  const known = { ServerURL: API, ServerAddresses: ['10.0.0.1:6443', '10.0.0.2:6443'] };
  await machine.put(`${AGENT}/etc/k3s-agent-load-balancer.json`, JSON.stringify(known));
  expect(JSON.parse((await leave()).stdout)).toMatchObject({ taken_out: true });
  expect(await machine.tree()).toEqual(before);
});

test('a node that is out already is only uninstalled', async () => {
  node = undefined;
  const ran = await leave();
  expect(JSON.parse(ran.stdout)).toMatchObject({ taken_out: true, evicted: [], kept: [] });
  expect(patches).toEqual([]);
});

test('goes on after it was killed when k3s was stopped: nobody could end the pods any more', async () => {
  machine.units.delete('k3s-agent.service');
  pods = [pod('web-1')];
  const ran = await leave();
  expect(JSON.parse(ran.stdout)).toMatchObject({ taken_out: true, evicted: [] });
});

test('interrupted while the cluster is waited for, it removes nothing, and goes on later', async () => {
  isServerAgentThere = false;
  const interrupt = new AbortController();
  machine.web.set(NODE, (url, init) => {
    const answer = answerNode(url, init);
    if (node?.metadata.annotations['pipeops.io/left'] !== undefined) {
      interrupt.abort();
    }
    return answer;
  });
  const words = ['leave', '--yes', '--json'];
  const ran = await machine.run(words, { signal: interrupt.signal });
  expect(errorOf(ran)).toMatchObject({ exitCode: 130, code: 'INTERRUPTED' });
  expect(await machine.files.stat('/usr/local/bin/k3s')).toBeDefined();
  node = undefined; // The agent on the server has heard it meanwhile.
  expect(JSON.parse((await leave()).stdout)).toMatchObject({ taken_out: true });
  expect(await machine.tree()).toEqual(before);
});

test('interrupted when its settings are gone already, it goes on under its own name', async () => {
  await machine.run(['uninstall', '--yes', '--delete-data']);
  await join('--node-name', 'rack-1');
  machine.web.set(`${API}/api/v1/nodes/rack-1`, answerNode);
  machine.web.set(NODE, () => Response.json({ kind: 'Status', code: 403 }, { status: 403 }));
  const interrupt = new AbortController();
  machine.programs.set('userdel', async () => {
    interrupt.abort();
    await machine.files.writeAtomic('/etc/passwd', 'root:x:0:0::/root:/bin/sh\n', { mode: 0o644 });
    return {};
  });
  const words = ['leave', '--yes', '--json'];
  const ran = await machine.run(words, { signal: interrupt.signal });
  expect(errorOf(ran)).toMatchObject({ exitCode: 130, code: 'INTERRUPTED' });
  expect(JSON.parse((await leave()).stdout)).toMatchObject({ node: 'rack-1', taken_out: true });
  expect(await machine.tree()).toEqual(before);
});

test.each([
  ['leave', ['leave', '--yes', '--json']],
  ['uninstall', ['uninstall', '--yes', '--json']],
])(
  'killed anywhere after the cluster has let it go, "%s" ends it without a trace',
  async (_, words) => {
    let change = 1;
    for (; change < CHANGES_MAX; change = nextKill(change)) {
      machine.killAt(change);
      const isOver = (await leave()).exitCode === 0;
      if (isOver) {
        break;
      }
      if (node !== undefined) {
        continue; // Before that "uninstall" is another thing, and "leave" is tried below.
      }
      const ran = await machine.run(words);
      const isGone = ran.exitCode !== 0 && errorOf(ran).code === 'NOT_INSTALLED';
      expect(isGone ? null : (JSON.parse(ran.stdout).listed_node ?? null)).toBeNull();
      expect({ change, exitCode: isGone ? 0 : ran.exitCode, tree: await machine.tree() }).toEqual({
        ...{ change, exitCode: 0 },
        tree: before,
      });
      node = { metadata: { annotations: {} }, spec: {} };
      await join();
    }
    expect(change).toBeWithin(20, CHANGES_MAX);
  },
  120_000,
);

test(
  'an "uninstall" that is killed before the cluster\'s word was noted is ended by the next one',
  async () => {
    const note = { v: 1, role: 'agent', node: 'node-1', servers: [API], state: 'leaving' };
    let change = 1;
    for (let isOver = false; !isOver; change = nextKill(change)) {
      await machine.put(NOTE, JSON.stringify(note));
      node = undefined; // The agent on the server has heard it.
      machine.killAt(change);
      isOver = (await machine.run(['uninstall', '--yes', '--json'])).exitCode === 0;
      const ran = await machine.run(['uninstall', '--yes', '--json']);
      const isGone = ran.exitCode !== 0 && errorOf(ran).code === 'NOT_INSTALLED';
      expect(isGone ? null : JSON.parse(ran.stdout).listed_node).toBeNull();
      expect({ change, tree: await machine.tree() }).toEqual({ change, tree: before });
      node = { metadata: { annotations: {} }, spec: {} };
      await join();
    }
    expect(change).toBeWithin(10, CHANGES_MAX);
  },
  SWEEP_TIMEOUT_MS,
);

test('killed anywhere before that, the next "leave" ends it', async () => {
  let change = 1;
  for (; node !== undefined && change < CHANGES_MAX; change = nextKill(change)) {
    pods = [pod('web-1')];
    machine.killAt(change);
    await leave();
    if (node !== undefined) {
      expect(JSON.parse((await leave()).stdout)).toMatchObject({ taken_out: true, kept: [] });
      expect(await machine.tree()).toEqual(before);
      node = { metadata: { annotations: {} }, spec: {} };
      await join();
    }
  }
  expect(change).toBeWithin(3, CHANGES_MAX);
});

test('interrupted while pods are ended by force, it removes nothing', async () => {
  pods = [pod('alone', null)];
  const interrupt = new AbortController();
  machine.web.set(`${API}/api/v1/namespaces/`, () => {
    interrupt.abort();
    return Response.json({ kind: 'Status', status: 'Success' });
  });
  const words = ['leave', '--yes', '--json', '--timeout', '1s', '--force'];
  const ran = await machine.run(words, { signal: interrupt.signal });
  expect(errorOf(ran)).toMatchObject({ exitCode: 130, code: 'INTERRUPTED' });
  expect(machine.units.get('k3s-agent.service')).toBe('active');
  expect(isCordoned()).toBe(false);
});

test('a dry run tells what becomes of each pod, and changes nothing', async () => {
  pods = [pod('web-1'), pod('alone', null), pod('log', 'DaemonSet')];
  const plan = JSON.parse((await machine.run(['leave', '--dry-run', '--json'])).stdout);
  expect(plan).toMatchObject({
    node: 'node-1',
    pods: [
      { pod: 'shop/web-1', action: 'evict' },
      { pod: 'shop/alone', action: 'refuse' },
      { pod: 'shop/log', action: 'skip' },
    ],
  });
  const shown = (await machine.run(['leave', '--dry-run'])).stdout;
  expect(shown).toMatch(/shop\/alone +is in the way +nothing would start it again/);
  expect([patches, machine.units.get('k3s-agent.service')]).toEqual([[], 'active']);
});

test('nobody leaves without having said so', async () => {
  expect(errorOf(await machine.run(['leave', '--json'], { confirm: false }))).toMatchObject({
    exitCode: 2,
    code: 'USAGE',
  });
  expect(patches).toEqual([]);
});

test.each(['0s', '25h', 'soon'])('a time of %s is refused', async (text) => {
  expect(errorOf(await leave('--timeout', text))).toMatchObject({ exitCode: 2, code: 'USAGE' });
});

test('the only server does not leave, and says what to do', async () => {
  await using server = await simulatedMachine();
  await server.run(['install', '--json'], { env: { PIPEOPS_K3S_MIRROR: MIRROR } });
  expect(errorOf(await server.run(['leave', '--yes', '--json']))).toMatchObject({
    exitCode: 4,
    code: 'CLUSTER_EXISTS',
    hint: expect.stringContaining('uninstall'),
  });
});

test('a bare machine has nothing to leave', async () => {
  await using bare = await simulatedMachine();
  expect(errorOf(await bare.run(['leave', '--yes', '--json']))).toMatchObject({
    exitCode: 4,
    code: 'NOT_INSTALLED',
  });
});
