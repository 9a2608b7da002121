/** Under which name a machine joins, and by which token: answered before anything is installed. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { JoinTokenContent } from '../../src/protocol/secrets/join-token.ts';
import { errorOf, joinToken } from '../support/installation.ts';
import { CLUSTER_CA, MIRROR, type Ran, simulatedMachine } from '../support/simulated-machine.ts';

type Machine = Awaited<ReturnType<typeof simulatedMachine>>;

const NODES = 'https://10.0.0.1:6443/api/v1/nodes';
const OWN_ID = '0123456789abcdef0123456789abcdef';
const OTHER_ID = 'fedcba9876543210fedcba9876543210';
/** Of the simulated machine. */
const OWN_ADDRESS = '10.0.0.7';

let machine: Machine;
beforeEach(async () => {
  machine = await simulatedMachine();
  await machine.files.writeAtomic('/etc/machine-id', `${OWN_ID}\n`, { mode: 0o444 });
});
afterEach(async () => await machine[Symbol.asyncDispose]());

interface Shown {
  readonly name?: string;
  readonly ready?: boolean;
  readonly address?: string;
  readonly machineId?: string;
}

function clusterHas(...nodes: readonly Shown[]): void {
  machine.web.set(NODES, (_, init) => {
    const authorization = new Headers(init?.headers).get('authorization');
    if (authorization !== 'Bearer abcdef.0123456789abcdef') {
      return new Response('', { status: 401 });
    }
    const items = nodes.map(
      ({ name = 'node-1', ready = true, address = '10.0.0.9', machineId = OTHER_ID }) => ({
        metadata: { name },
        status: {
          addresses: [{ type: 'InternalIP', address }],
          conditions: [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }],
          nodeInfo: { machineID: machineId },
        },
      }),
    );
    return Response.json({ items });
  });
}

async function join(flags: readonly string[] = [], content: Partial<JoinTokenContent> = {}) {
  await machine.files.writeAtomic('/root/join', joinToken(content), { mode: 0o600 });
  const words = ['join', '--token-file', '/root/join', '--json', ...flags];
  return machine.run(words, { env: { PIPEOPS_K3S_MIRROR: MIRROR } });
}

const nodeOf = (ran: Ran) => ({ exitCode: ran.exitCode, node: JSON.parse(ran.stdout).node });

test('a name that nobody has is taken', async () => {
  clusterHas({ name: 'server' });
  expect(nodeOf(await join())).toEqual({ exitCode: 0, node: 'node-1' });
});

test('a name of a living node is refused before anything is changed', async () => {
  clusterHas({});
  const before = await machine.tree();
  const refused = await join();
  const { '/root/join': _, ...after } = await machine.tree();
  expect(errorOf(refused)).toEqual({
    exitCode: 5,
    code: 'NODE_NAME_TAKEN',
    message: 'The name "node-1" is taken: a living machine has it in the cluster, at 10.0.0.9',
    hint:
      'To join as "node-1-3eb1b", which is free: --name-taken rename; under another name: --node-name NAME. ' +
      'If that machine is to go: sudo pipeops-agent leave, there',
    details: { node: 'node-1', alive: true, free: 'node-1-3eb1b' },
  });
  expect(after).toEqual(before);
});

test('a name of a node that is down is refused, with the way to free it', async () => {
  clusterHas({ ready: false });
  expect(errorOf(await join())).toMatchObject({
    code: 'NODE_NAME_TAKEN',
    message: expect.stringContaining('a machine that is down has it'),
    hint: expect.stringContaining('sudo k3s kubectl delete node node-1'),
  });
});

test('with --name-taken rename the node gets a name of its own, the same at each try', async () => {
  clusterHas({});
  const ran = await join(['--name-taken', 'rename', '--dry-run']);
  expect(ran.stderr).toContain('this node is called "node-1-3eb1b"');
  expect(nodeOf(await join(['--name-taken', 'rename']))).toEqual({
    exitCode: 0,
    node: 'node-1-3eb1b',
  });
});

const PASSWORD = '/etc/rancher/node/password';

test.each([
  ['that is down', { ready: false, machineId: OWN_ID }],
  ['that has just left', { address: OWN_ADDRESS, machineId: OWN_ID }],
])('a machine comes back under its name as a node %s', async (_, node) => {
  clusterHas(node);
  await machine.files.makeDirectory('/etc/rancher/node', { mode: 0o755 });
  await machine.files.writeAtomic(PASSWORD, '0123\n', { mode: 0o600 });
  expect(nodeOf(await join())).toEqual({ exitCode: 0, node: 'node-1' });
});

test('--name-taken reuse trusts the password of this machine, but not against a living node', async () => {
  await machine.files.makeDirectory('/etc/rancher/node', { mode: 0o755 });
  await machine.files.writeAtomic(PASSWORD, '0123\n', { mode: 0o600 });
  clusterHas({});
  expect(errorOf(await join(['--name-taken', 'reuse']))).toMatchObject({ code: 'NODE_NAME_TAKEN' });
  clusterHas({ ready: false });
  expect(errorOf(await join())).toMatchObject({
    code: 'NODE_NAME_TAKEN',
    hint: expect.stringContaining('--name-taken reuse'),
  });
  expect(nodeOf(await join(['--name-taken', 'reuse']))).toEqual({ exitCode: 0, node: 'node-1' });
});

test('a clone of a living node is noticed, whatever its name', async () => {
  clusterHas({ name: 'original', machineId: OWN_ID });
  expect(errorOf(await join())).toEqual({
    exitCode: 5,
    code: 'MACHINE_ID_TAKEN',
    message:
      'The node "original", at 10.0.0.9 has the same machine id: one of both machines is a clone',
    hint:
      'Give this machine an id of its own: sudo rm -f /etc/machine-id /var/lib/dbus/machine-id, sudo systemd-machine-id-setup, ' +
      'reboot. To join all the same: --allow-clone',
    details: { node: 'original' },
  });
  expect(nodeOf(await join(['--allow-clone']))).toEqual({ exitCode: 0, node: 'node-1' });
});

test.each([
  ['refuses to say', () => new Response('', { status: 403 })],
  ['says something else', () => new Response('<html>')],
])('where the cluster %s, k3s finds out itself', async (_, answer) => {
  machine.web.set(NODES, answer);
  expect(nodeOf(await join())).toEqual({ exitCode: 0, node: 'node-1' });
});

test('an answer that is no policy of ours is refused', async () => {
  expect(errorOf(await join(['--name-taken', 'wait']))).toMatchObject({
    exitCode: 2,
    code: 'USAGE',
  });
});

test('a token for one name gives it; one for a pattern only checks', async () => {
  clusterHas();
  expect(nodeOf(await join([], { node: 'rack2-1' }))).toEqual({ exitCode: 0, node: 'rack2-1' });
});

test.each([
  [{ node: 'rack2-*' }, [], 'for a node called "rack2-*", and this one would be "node-1"'],
  [{ node: 'rack2-1' }, ['--node-name', 'rack2-2'], 'this one would be "rack2-2"'],
  [{ from: ['192.168.0.0/16'] }, [], 'for machines of 192.168.0.0/16, and this one has 10.0.0.1'],
])('a token for %j refuses this machine with %j', async (bounds, flags, message) => {
  clusterHas();
  const refused = errorOf(await join(flags, bounds));
  expect(refused).toMatchObject({ exitCode: 5, code: 'JOIN_TOKEN_REJECTED' });
  expect(refused.message).toContain(message);
  expect(machine.calls).toEqual([]);
});

test('a token for this machine is taken, by pattern and network', async () => {
  clusterHas();
  const bounds = { node: 'node-*', from: ['192.168.0.0/16', '10.0.0.0/8'] };
  expect(nodeOf(await join([], bounds))).toEqual({ exitCode: 0, node: 'node-1' });
});

test('a worker takes the version of k3s that its server has, and tells which token it used', async () => {
  clusterHas();
  await join([], { k3s: 'v1.33.1+k3s1' });
  const installer = machine.calls.find(({ argv }) => argv[0] === 'sh');
  expect(installer?.env?.['INSTALL_K3S_VERSION']).toBe('v1.33.1+k3s1');
  expect(await machine.files.readText('/cluster/annotations')).toBe(
    '{"pipeops.io/join-token":"abcdef"}',
  );
});

test("a join by k3s' own variables asks for the name too, where the token vouches for the server", async () => {
  clusterHas({});
  const hash = new Bun.CryptoHasher('sha256').update(CLUSTER_CA).digest('hex');
  const refused = await machine.run(['install', '--json'], {
    env: {
      ...{ PIPEOPS_K3S_MIRROR: MIRROR, NODE_TYPE: 'agent', K3S_URL: 'https://10.0.0.1:6443' },
      K3S_TOKEN: `K10${hash}::abcdef.0123456789abcdef`,
    },
  });
  expect(errorOf(refused)).toMatchObject({ code: 'NODE_NAME_TAKEN' });
});

test('an upgrade of a worker tells the cluster nothing, which may be away', async () => {
  clusterHas();
  await join();
  const version = (await machine.files.readText('/usr/local/bin/k3s')) ?? '';
  machine.programs.set('/usr/local/bin/k3s', (argv) =>
    argv[1] === '--version'
      ? { stdout: `k3s version ${version} (test)` }
      : { exitCode: 1, stderr: 'the server is away' },
  );
  const ran = await machine.run(['install', '--json'], { env: { PIPEOPS_K3S_MIRROR: MIRROR } });
  expect(nodeOf(ran)).toEqual({ exitCode: 0, node: 'node-1' });
});
