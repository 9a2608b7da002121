/** Further servers: the token that lets one in, how it joins, and what it stays. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { placesOf } from '../../src/core/places.ts';
import { permissionsManifest } from '../../src/machine/kubernetes-account.ts';
import { readPolicyFile } from '../../src/policy/read-file.ts';
import { PolicyFile } from '../../src/protocol/files/policy.ts';
import type { SharedSettings } from '../../src/protocol/files/shared-settings.ts';
import { decodeJoinToken, type JoinTokenContent } from '../../src/protocol/secrets/join-token.ts';
import { errorOf, INSTALL, INSTALL_ENV, joinToken } from '../support/installation.ts';
import { leavingCluster } from '../support/leaving-cluster.ts';
import {
  CLUSTER_CA,
  CONTROL_PLANE,
  CONTROL_PLANE_TOKEN,
  MIRROR,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';
import { makeCertificates } from '../support/tls.ts';

const PLACES = placesOf();
const NODES = 'https://10.0.0.1:6443/api/v1/nodes';
const MEMBERS = 'https://127.0.0.1:2382/v3/cluster/member/list';
const SERVER_TOKEN = `K10${'0'.repeat(64)}::server:0123`;
const GATE = `K10${'0'.repeat(64)}::abcdef.0123456789abcdef`;
const CREATE = ['token', 'create', '--role', 'server', '--yes', '--json'];
const K3S_CONFIG = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
  firstShares();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (...words: readonly string[]) =>
  machine.run([...INSTALL, ...words], { env: INSTALL_ENV });

/** What etcd says of its members, once this server has it. */
async function etcdHas(...members: readonly { name?: string; isLearner?: boolean }[]) {
  await machine.put('/var/lib/rancher/k3s/server/db/etcd/name', '');
  await machine.put('/var/lib/rancher/k3s/server/token', `${SERVER_TOKEN}\n`);
  machine.web.set(MEMBERS, () => Response.json({ members }));
}

/** The servers of the cluster that is joined. */
function serversAre(servers: Readonly<Record<string, 'ready' | 'lost'>>): void {
  const items = Object.entries(servers).map(([name, state]) => ({
    metadata: { name, labels: { 'node-role.kubernetes.io/control-plane': 'true' } },
    status: {
      conditions: [{ type: 'Ready', status: state === 'ready' ? 'True' : 'Unknown' }],
      nodeInfo: { machineID: name },
    },
  }));
  machine.web.set(NODES, (_, init) => {
    const authorization = new Headers(init?.headers).get('authorization');
    // Only what ends is shown to the API: never the token of servers.
    return authorization === 'Bearer abcdef.0123456789abcdef'
      ? Response.json({ items })
      : new Response('', { status: 401 });
  });
}

const OURS = 'https://10.0.0.1:6443/api/v1/namespaces/pipeops-system/configmaps';
const PEM = (await makeCertificates(['cp.example.com'])).ca;
const POLICY = PolicyFile.parse({ preset: 'standard', exec: false });
const SETTINGS = {
  v: 1,
  settings: {
    agent: { labels: { site: 'a' }, base_url: 'https://get.example.com/agent', id: 'not-shared' },
    cluster: { name: 'of-the-first' },
    control_plane: { url: 'https://cp.example.com', gateway_hosts: ['gw.example.com'] },
    k3s: { mirror: 'https://mirror.example.com/k3s', node_name: 'not-shared' },
  },
  ca: PEM,
};

/** What the agent of the first server has written down for the others. */
function firstShares(policy = POLICY, settings: object = SETTINGS): void {
  const maps: Readonly<Record<string, Record<string, string>>> = {
    'pipeops-agent-settings': { settings: JSON.stringify(settings) },
    'pipeops-agent-policy': { policy: JSON.stringify(policy) },
  };
  machine.web.set(OURS, (url) => {
    const data = maps[url.slice(OURS.length + 1)];
    return data === undefined ? new Response('', { status: 404 }) : Response.json({ data });
  });
}

/** Its agent is of a version that shares nothing. */
function firstSharesNothing(): void {
  machine.web.set(OURS, () => new Response('', { status: 403 }));
}

async function join(content: Partial<JoinTokenContent> = {}) {
  const token = joinToken({
    ...{ role: 'server', token: SERVER_TOKEN, gate: GATE },
    ...{ disable: ['traefik', 'servicelb'], names: ['k8s.example.com'] },
    ...content,
  });
  await machine.files.writeAtomic('/root/join', token, { mode: 0o600 });
  const words = ['join', '--token-file', '/root/join', '--json'];
  return machine.run(words, { env: { PIPEOPS_K3S_MIRROR: MIRROR } });
}

const agentConfig = async () =>
  Bun.YAML.parse((await machine.files.readText('/etc/pipeops-agent/config.yaml')) ?? '');
const policy = () => readPolicyFile({ files: machine.files }, '/etc/pipeops-agent/policy.yaml');
const k3sConfig = async () => Bun.YAML.parse((await machine.files.readText(K3S_CONFIG)) ?? '');

test('a token of a server has its end, its place, and what all servers share', async () => {
  await install('--ha', '--tls-san', 'k8s.example.com');
  await etcdHas({ name: 'node-1-0a1b2c3d' });
  const created = JSON.parse((await machine.run(CREATE)).stdout);
  expect(created).toMatchObject({ role: 'server', id: 'abcdef', uses: 1 });
  expect(decodeJoinToken(created.token)).toEqual({
    ...{ v: 1, servers: ['https://10.0.0.1:6443'], ca: CLUSTER_CA, role: 'server' },
    ...{ token: SERVER_TOKEN, gate: GATE, expires: created.expires },
    ...{ disable: ['traefik'], names: ['k8s.example.com'] },
    k3s: 'v1.36.3+k3s1',
  });
  expect(machine.calls.flatMap(({ argv }) => argv).join(' ')).not.toContain('server:0123');
  const { tokens } = JSON.parse((await machine.run(['token', 'list', '--json'])).stdout);
  expect(tokens).toMatchObject([{ id: 'abcdef', role: 'server' }]);
  expect(errorOf(await machine.run(CREATE))).toMatchObject({
    exitCode: 8,
    code: 'SERVERS_NOT_READY',
    message: 'There is a token of a server already, and servers join one at a time',
  });
});

test('etcd of a cluster whose Services are of IPv6 is asked on the loopback of IPv6', async () => {
  await install('--ha');
  await etcdHas({ name: 'node-1-0a1b2c3d' });
  const members = machine.web.get(MEMBERS);
  machine.web.delete(MEMBERS);
  expect(errorOf(await machine.run(CREATE))).toMatchObject({ code: 'SERVERS_NOT_READY' });
  machine.web.set('https://[::1]:2382/v3/cluster/member/list', members ?? Response.error);
  expect(JSON.parse((await machine.run(CREATE)).stdout)).toMatchObject({ role: 'server' });
});

test('who makes one is told what it is worth, and asked', async () => {
  await install('--ha');
  await etcdHas({ name: 'node-1-0a1b2c3d' });
  const asked = CREATE.filter((word) => word !== '--yes');
  expect(errorOf(await machine.run(asked))).toMatchObject({ exitCode: 2, code: 'USAGE' });
  expect(errorOf(await machine.run([...CREATE, '--uses', '2']))).toMatchObject({ code: 'USAGE' });
  const { stderr } = await machine.run(CREATE.filter((word) => word !== '--json'));
  expect(stderr).toContain('worth the whole cluster');
  expect(stderr).toContain('k3s never ends');
});

test('there is none where the data are in SQLite, and nothing is made', async () => {
  await install();
  const before = machine.calls.length;
  expect(errorOf(await machine.run(CREATE))).toMatchObject({
    code: 'SERVERS_NOT_READY',
    message: expect.stringContaining('SQLite'),
    hint: expect.stringContaining('sudo pipeops-agent install --ha'),
  });
  const made = machine.calls.slice(before).filter(({ argv }) => argv[1] === 'token');
  expect(made).toEqual([]);
});

test.each([
  [
    [{ name: 'node-1-0a1b2c3d' }, { name: 'node-3-0a1b2c3d', isLearner: true }],
    'still joining: node-3',
  ],
  [[{ name: 'node-1-0a1b2c3d' }, {}], 'still joining: one without a name yet'],
  [[{ name: 'node-1-0a1b2c3d' }, { name: 'node-2-0a1b2c3d' }], 'not well: node-2'],
])('there is none while a member of etcd is not well: %j', async (members, message) => {
  await install('--ha');
  await etcdHas(...members);
  expect(errorOf(await machine.run(CREATE))).toMatchObject({
    code: 'SERVERS_NOT_READY',
    message: expect.stringContaining(message),
  });
});

test('there is none while etcd cannot ask most members, though one knows what it knew before', async () => {
  await install('--ha');
  await etcdHas();
  machine.web.set(MEMBERS, (_, init) => {
    const { linearizable = false } = JSON.parse(String(init?.body)); // As etcd takes it: false if left out.
    return linearizable === true
      ? new Response('{"error":"etcdserver: no leader"}', { status: 503 })
      : Response.json({ members: [{ name: 'node-1-0a1b2c3d' }] });
  });
  expect(errorOf(await machine.run(CREATE))).toMatchObject({
    code: 'SERVERS_NOT_READY',
    message: expect.stringContaining('etcd does not answer here'),
  });
});

test('a machine joins as a server, with what the agents share, and stays that', async () => {
  serversAre({ first: 'ready' });
  const ran = await join();
  expect(ran.stderr).toContain('Two servers are no safer than one');
  const summary = JSON.parse(ran.stdout);
  expect(summary).toMatchObject({ role: 'server', cluster_name: null, control_plane: null });
  const told = {
    ...{
      server: 'https://10.0.0.1:6443',
      'token-file': '/var/lib/pipeops-agent-host/k3s-join-token',
    },
    ...{ 'write-kubeconfig-mode': '0600', disable: ['traefik', 'servicelb'] },
    ...{ 'tls-san+': ['k8s.example.com'], 'kubelet-arg+': ['seccomp-default=true'] },
  };
  expect(await k3sConfig()).toEqual(told);
  expect(await machine.files.readText(told['token-file'])).toBe(`${SERVER_TOKEN}\n`);
  expect(await agentConfig()).toEqual({
    agent: { role: 'server', labels: { site: 'a' }, base_url: 'https://get.example.com/agent' },
    cluster: { name: 'of-the-first' },
    control_plane: {
      url: 'https://cp.example.com',
      gateway_hosts: ['gw.example.com'],
      ca_file: '/etc/pipeops-agent/control-plane-ca.pem',
    },
    k3s: { mirror: MIRROR },
  });
  expect(await machine.files.readText('/etc/pipeops-agent/control-plane-ca.pem')).toBe(PEM);
  expect(await policy()).toEqual(POLICY);
  expect(JSON.parse((await machine.files.readText('/cluster/annotations')) ?? '')).toEqual({
    'pipeops.io/join-token': 'abcdef',
  });
  const again = await machine.run(['install', '--json']);
  expect(again.stderr).toContain('This machine is a further server and stays one');
  const { steps } = JSON.parse(again.stdout) as { steps: { id: string; changed: boolean }[] };
  expect(steps.filter(({ changed }) => changed)).toEqual([]);
  expect(await k3sConfig()).toEqual(told);
  await leavingCluster(machine); // With two more servers.
  const removed = JSON.parse((await machine.run(['uninstall', '--yes', '--json'])).stdout);
  expect([removed.workers, removed.listed_node]).toEqual([[], 'node-1']);
});

test('its tokens lead to the same sources as those of the first server', async () => {
  serversAre({ first: 'ready' });
  await join();
  const { line } = JSON.parse((await machine.run(['token', 'create', '--json'])).stdout);
  expect(line).toContain('https://get.example.com/agent/install.sh');
});

test('where the first server shares nothing, the agent has no part in the session until it does', async () => {
  serversAre({ first: 'ready' });
  firstSharesNothing();
  const ran = await join();
  expect(ran.stderr).toContain('The agent of the first server is of an earlier version');
  expect(await agentConfig()).toEqual({ agent: { role: 'node' }, k3s: { mirror: MIRROR } });
  expect(await machine.files.readText('/etc/pipeops-agent/policy.yaml')).toBeUndefined();
  // Its agent was upgraded, and has shared.
  await machine.put('/cluster/account', permissionsManifest(POLICY, SETTINGS as SharedSettings));
  const again = await machine.run(['install', '--json']);
  expect([again.exitCode, again.stderr]).toEqual([0, expect.stringContaining('stays one')]);
  expect(await agentConfig()).toMatchObject({
    agent: { role: 'server' },
    control_plane: { url: 'https://cp.example.com' },
  });
  expect(await policy()).toEqual(POLICY);
});

test('nothing is changed where what the servers share cannot be used here', async () => {
  serversAre({ first: 'ready' });
  firstShares(POLICY, {
    v: 1,
    settings: { control_plane: { transport: 'carrier pigeon' } },
    ca: null,
  });
  await machine.put('/root/join', '');
  const before = Object.keys(await machine.listing());
  expect(errorOf(await join())).toMatchObject({
    ...{ exitCode: 3, code: 'CONFIG_INVALID' },
    message: 'Cannot use what the servers have set: control_plane.transport',
  });
  expect(Object.keys(await machine.listing())).toEqual(before);
});

test('nothing is changed where it cannot be asked what the servers share', async () => {
  serversAre({ first: 'ready' });
  machine.web.set(OURS, () => new Response('', { status: 503 }));
  await machine.put('/root/join', '');
  const before = Object.keys(await machine.listing());
  expect(errorOf(await join())).toMatchObject({ exitCode: 6, code: 'SERVER_UNREACHABLE' });
  expect(Object.keys(await machine.listing())).toEqual(before);
});

test('another control plane, given on that machine, is kept', async () => {
  serversAre({ first: 'ready' });
  await join();
  const words = ['install', '--json', '--api-url', 'https://other.example.com'];
  expect((await machine.run(words)).exitCode).toBe(0);
  expect(await agentConfig()).toMatchObject({
    control_plane: { url: 'https://other.example.com' },
  });
});

describe('what the servers share, later', () => {
  const shared = async () => {
    const { items } = JSON.parse((await machine.files.readText('/cluster/account')) ?? '');
    const name = 'pipeops-agent-settings';
    const map = items.find((each: { metadata: { name: string } }) => each.metadata.name === name);
    return JSON.parse(map.data.settings);
  };
  const CHANGED = {
    ...{ v: 1, ca: PEM },
    settings: {
      agent: { labels: { site: 'b' }, base_url: 'https://get.example.com/agent' },
      cluster: { name: 'of-the-first' },
      control_plane: { url: 'https://cp.example.com', gateway_hosts: ['gw.example.com'] },
      k3s: { mirror: MIRROR },
    },
  };
  const OWN = 'this server has its own';
  const CONFIG_FILE = '/etc/pipeops-agent/config.yaml';

  beforeEach(async () => {
    serversAre({ first: 'ready' });
    firstShares(POLICY, {
      ...SETTINGS,
      settings: { ...SETTINGS.settings, k3s: { mirror: MIRROR } },
    });
    await join();
  });

  test('has what was given to a further server, for those that join then', async () => {
    const before = await shared();
    const words = ['install', '--json', '--api-url', 'https://new.example.com'];
    const ran = await machine.run(words);
    expect(ran.stderr).toContain('Give it to "install" on the others, too.');
    expect(ran.stderr).not.toContain(OWN);
    const { settings } = before;
    const next = { ...settings.control_plane, url: 'https://new.example.com' };
    const after = { ...before, settings: { ...settings, control_plane: next } };
    expect(await shared()).toEqual(after);
    const again = await machine.run(['install', '--json']);
    expect(again.stderr).not.toContain('Servers that join later');
    expect(await shared()).toEqual(after);
  });

  test('does not replace what a further server has in its own file, which is told', async () => {
    const own = await agentConfig();
    await machine.put(
      '/cluster/account',
      permissionsManifest(POLICY, CHANGED as unknown as SharedSettings),
    );
    const ran = await machine.run(['install', '--json']);
    expect(ran.stderr).toContain(`In ${CONFIG_FILE} ${OWN} agent.labels: that counts here.`);
    expect([await agentConfig(), await shared()]).toEqual([own, CHANGED]);
    const { agent, ...others } = own as Record<string, Record<string, unknown>>;
    const { labels: _, ...kept } = agent ?? {};
    await machine.put(CONFIG_FILE, Bun.YAML.stringify({ ...others, agent: kept }));
    const again = await machine.run(['install', '--json']);
    expect(again.stderr).not.toContain(OWN);
    expect([await agentConfig(), await shared()]).toEqual([
      { ...others, agent: { ...kept, labels: { site: 'b' } } },
      CHANGED,
    ]);
  });

  test('has an authority that was given to a further server', async () => {
    const { ca } = await makeCertificates(['other.example.com']);
    await machine.put('/root/ca.pem', ca);
    const before = await shared();
    const ran = await machine.run(['install', '--json', '--ca-file', '/root/ca.pem']);
    expect(ran.stderr).not.toContain(OWN);
    expect(await shared()).toEqual({ ...before, ca });
  });
});

test('a token that is given on a further server is for all, and so is looked at first', async () => {
  serversAre({ first: 'ready' });
  firstShares(POLICY, { v: 1, settings: { control_plane: { url: CONTROL_PLANE } }, ca: null });
  await join();
  const give = async (token: string) => {
    await machine.files.writeAtomic('/root/new-token', token, { mode: 0o600 });
    return machine.run(['install', '--json', '--token-file', '/root/new-token']);
  };
  expect(errorOf(await give('of-nobody'))).toMatchObject({ code: 'TOKEN_REJECTED' });
  expect(await machine.files.readText(PLACES.controlPlaneTokenFile)).toBeUndefined();
  expect((await give(CONTROL_PLANE_TOKEN)).exitCode).toBe(0);
  expect(await machine.files.readText(PLACES.controlPlaneTokenFile)).toBe(
    `${CONTROL_PLANE_TOKEN}\n`,
  );
});

describe('the account, when the agent leaves and k3s does not', () => {
  const removed = async () => {
    await machine.run(['uninstall', '--yes', '--keep-k3s', '--json']);
    return (await machine.files.readText('/cluster/account')) === undefined;
  };
  /** Those of the cluster, by whether each has joined with a token of ours. */
  const areServers = (servers: Readonly<Record<string, 'joined' | 'began'>>) => {
    const items = Object.entries(servers).map(([name, how]) => ({
      metadata: {
        name,
        labels: { 'node-role.kubernetes.io/control-plane': 'true' },
        annotations: how === 'joined' ? { 'pipeops.io/join-token': 'abcdef' } : {},
      },
      status: { nodeInfo: { kubeletVersion: 'v1.36.3+k3s1', architecture: 'amd64' } },
    }));
    machine.programs.set('/usr/local/bin/k3s', (argv) =>
      argv.slice(1, 4).join(' ') === 'kubectl get nodes'
        ? { stdout: JSON.stringify({ items }) }
        : undefined,
    );
  };

  test('stays for the other servers of a further one', async () => {
    serversAre({ first: 'ready' });
    await join();
    areServers({ first: 'began', 'node-1': 'joined' });
    expect(await removed()).toBe(false);
  });

  test('stays for the other servers of the one that began', async () => {
    await install('--ha');
    areServers({ 'node-1': 'began', second: 'joined' });
    expect(await removed()).toBe(false);
  });

  test('goes with the last server, though it had joined others once', async () => {
    serversAre({ first: 'ready' });
    await join();
    areServers({ 'node-1': 'joined' });
    expect(await removed()).toBe(true);
  });

  test('stays where a further server cannot ask who is left', async () => {
    serversAre({ first: 'ready' });
    await join();
    machine.programs.set('/usr/local/bin/k3s', (argv) =>
      argv.slice(1, 4).join(' ') === 'kubectl get nodes'
        ? { exitCode: 1, stderr: 'Error from server (Forbidden): not here' }
        : undefined,
    );
    expect(await removed()).toBe(false);
  });
});

test('a join that broke off goes on, though this server itself is not well yet', async () => {
  serversAre({ first: 'ready', second: 'ready' });
  machine.programs.set('sh', () => ({ exitCode: 1, stderr: 'broken' }));
  expect((await join()).exitCode).not.toBe(0);
  machine.programs.delete('sh');
  // It had come as far as to be a node.
  await machine.put('/var/lib/rancher/k3s/agent/client-kubelet.crt', 'of the node');
  serversAre({ first: 'ready', second: 'ready', 'node-1': 'lost' });
  expect((await join()).exitCode).toBe(0);
});

test('the third server is a gain, and nobody is warned', async () => {
  serversAre({ first: 'ready', second: 'ready' });
  const ran = await join();
  expect(ran.exitCode).toBe(0);
  expect(ran.stderr).not.toContain('no safer');
});

test('a server that was lost since the token was made keeps the next one out', async () => {
  serversAre({ first: 'ready', second: 'lost' });
  await machine.put('/root/join', '');
  const before = Object.keys(await machine.listing());
  expect(errorOf(await join())).toMatchObject({
    code: 'SERVERS_NOT_READY',
    message: 'These servers are not well: second',
  });
  expect(Object.keys(await machine.listing())).toEqual(before);
});

test('a server with a cluster of its own does not join another', async () => {
  await install();
  serversAre({ first: 'ready' });
  const before = await k3sConfig();
  expect(errorOf(await join())).toMatchObject({ exitCode: 4, code: 'CLUSTER_EXISTS' });
  expect(await k3sConfig()).toEqual(before);
});
