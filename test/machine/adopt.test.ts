/** `install` on a machine that has a k3s of somebody else: it is used as it is, and given back so. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { agentIsNotReady, errorOf, stateOf } from '../support/installation.ts';
import {
  CLUSTER_CA,
  CONTROL_PLANE,
  CONTROL_PLANE_TOKEN,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';

const ENV = { PIPEOPS_API_URL: CONTROL_PLANE };
const INVENTORY = '/var/lib/pipeops-agent-host/inventory.json';
const UNIT =
  'ExecStart={ path=/usr/local/bin/k3s ; argv[]=/usr/local/bin/k3s server --disable traefik --token=hunter2 ; ignore_errors=no }';
const base64 = (text: string) => Buffer.from(text).toString('base64');
const named = (apiVersion: string, kind: string, name: string, more: object = {}) => ({
  apiVersion,
  kind,
  metadata: { name, uid: 'u', resourceVersion: '7', labels: { app: 'pipeops-agent' } },
  ...more,
});
const IN_CLUSTER = {
  items: [
    named('v1', 'Namespace', 'pipeops-system'),
    named('rbac.authorization.k8s.io/v1', 'ClusterRole', 'pipeops-agent', { rules: [] }),
    named('apps/v1', 'Deployment', 'pipeops-agent', { spec: {}, status: { replicas: 1 } }),
    named('v1', 'Secret', 'pipeops-agent-config', {
      data: {
        PIPEOPS_API_URL: base64(CONTROL_PLANE),
        PIPEOPS_TOKEN: base64(CONTROL_PLANE_TOKEN),
        PIPEOPS_CLUSTER_NAME: base64('shop'),
      },
    }),
    named('v1', 'ConfigMap', 'pipeops-agent-state', { data: { agent_id: 'agent-0123' } }),
  ],
};

let machine: SimulatedMachine;
const put = async (path: string, text: string, mode = 0o644) => {
  await machine.files.makeDirectory(path.slice(0, path.lastIndexOf('/')), { mode: 0o755 });
  await machine.files.writeAtomic(path, text, { mode });
};

beforeEach(async () => {
  machine = await simulatedMachine();
  await put('/usr/local/bin/k3s', 'v1.34.4+k3s1');
  await put('/usr/local/bin/k3s-uninstall.sh', 'k3s');
  await put('/etc/systemd/system/k3s.service', UNIT);
  await put('/etc/rancher/k3s/config.yaml', 'flannel-backend: host-gw\ndatastore-endpoint: pg\n');
  await put('/var/lib/rancher/k3s/server/tls/server-ca.crt', CLUSTER_CA);
  await put('/cluster/.keep', '');
  machine.units.set('k3s.service', 'active');
  machine.enabled.add('k3s.service');
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (...words: readonly string[]) =>
  machine.run(['install', '--token-file', '/root/token', '--json', ...words], { env: ENV });
const changesOfK3s = () =>
  machine.calls
    .map(({ argv }) => argv.join(' '))
    .filter(
      (line) =>
        /^(systemctl (start|stop|restart|enable|disable) .*k3s|sh )/.test(line) ||
        /k3s(-agent)?-uninstall|killall/.test(line),
    );

const state = () => stateOf(machine);

test('without a yes nothing is taken over, and the plan says what there is', async () => {
  const before = await state();
  const ran = await install();
  expect(errorOf(ran)).toMatchObject({
    exitCode: 4,
    code: 'CLUSTER_EXISTS',
    hint: expect.stringContaining('install --adopt --yes'),
  });
  expect(ran.stderr).toContain('already runs k3s v1.34.4+k3s1 (k3s.service), as node node-1.\n');
  expect(ran.stderr).toContain('    flannel-backend: host-gw (/etc/rancher/k3s/config.yaml:1)\n');
  expect(ran.stderr).toContain('    disable: traefik (a flag of k3s.service)\n');
  expect(ran.stderr).toContain('    token: (set) (a flag of k3s.service)\n');
  expect(ran.stderr).not.toMatch(/hunter2|datastore-endpoint: pg/);
  expect(await state()).toEqual(before);
});

test('a person may say yes', async () => {
  const words = ['install', '--token-file', '/root/token', '--json'];
  const no = await machine.run(words, { env: ENV, confirm: false });
  expect(errorOf(no)).toMatchObject({ code: 'CLUSTER_EXISTS' });
  const yes = await machine.run(words, { env: ENV, confirm: true });
  expect(JSON.parse(yes.stdout)).toMatchObject({ adopted: true, node: 'node-1' });
});

test('a dry run needs no yes, and changes nothing', async () => {
  const before = await state();
  const ran = await install('--dry-run');
  expect(JSON.parse(ran.stdout)).toMatchObject({
    adoption: { k3s: { role: 'server', version: 'v1.34.4+k3s1' }, node: 'node-1' },
  });
  expect(JSON.parse(ran.stdout).plan.map(({ id }: { id: string }) => id)).not.toContain(
    'k3s-start',
  );
  expect(await state()).toEqual(before);
});

test.each([
  ['uninstall', ['uninstall', '--yes', '--delete-data']],
  ['uninstall --keep-k3s', ['uninstall', '--yes', '--keep-k3s']],
])('k3s is as it was after %s', async (_, words) => {
  const before = await state();
  expect((await install('--adopt', '--yes')).exitCode).toBe(0);
  const { entries } = JSON.parse((await machine.files.readText(INVENTORY)) ?? '');
  expect(entries).toContainEqual({ kind: 'adopted-k3s', name: 'server' });
  expect(entries).not.toContainEqual({ kind: 'k3s', name: 'server' });
  const ran = await machine.run(words);
  expect(ran.stderr).toContain('The agent is removed; k3s is as it was before.\n');
  expect(await state()).toEqual(before);
  expect(changesOfK3s()).toEqual([]);
});

test.each([
  ['goes, whatever other servers that k3s has', {}, false],
  ['stays for the agents of servers that have joined', { 'pipeops.io/join-token': 'abcdef' }, true],
])("the agent's account %s", async (_, annotations, stays) => {
  await install('--adopt', '--yes');
  const labels = { 'node-role.kubernetes.io/control-plane': 'true' };
  const status = { nodeInfo: { kubeletVersion: 'v1.34.4+k3s1', architecture: 'amd64' } };
  const items = [
    { metadata: { name: 'node-1', labels }, status },
    { metadata: { name: 'node-2', labels, annotations }, status },
  ];
  machine.programs.set('/usr/local/bin/k3s', (argv) =>
    argv.slice(1, 4).join(' ') === 'kubectl get nodes'
      ? { stdout: JSON.stringify({ items }) }
      : undefined,
  );
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
  expect((await machine.files.readText('/cluster/account')) !== undefined).toBe(stays);
});

test('k3s is as it was after an installation that failed and was taken back', async () => {
  const before = await state();
  agentIsNotReady(machine);
  expect((await install('--adopt', '--yes')).exitCode).not.toBe(0);
  expect((await machine.run(['install', '--undo', '--yes'])).exitCode).toBe(0);
  expect(await state()).toEqual(before);
  expect(changesOfK3s()).toEqual([]);
});

test('a second run asks nothing, and refuses to change what is not ours', async () => {
  expect((await install('--adopt', '--yes')).exitCode).toBe(0);
  const again = await install();
  expect(JSON.parse(again.stdout)).toMatchObject({ adopted: true });
  for (const words of [['--node-label', 'a=b'], ['--traefik'], ['--k3s-version', 'v1.35.0+k3s1']]) {
    expect(errorOf(await install(...words))).toMatchObject({ exitCode: 4, code: 'SETTING_FIXED' });
  }
  expect(changesOfK3s()).toEqual([]);
});

test('an agent that runs in the cluster gives its identity, and goes when ours is registered', async () => {
  await put('/cluster/found', JSON.stringify(IN_CLUSTER));
  await put('/cluster/deployment', 'deployment.apps/pipeops-agent\n');
  const words = ['install', '--adopt', '--yes', '--json'];
  const ran = await machine.run(words);
  expect(ran.exitCode).toBe(0);
  expect(ran.stderr).toContain(
    `Taken over from the agent that runs in the cluster: api-url ${CONTROL_PLANE}, ` +
      'cluster-name shop, agent-id agent-0123, token.\n',
  );
  expect(ran.stderr + ran.stdout).not.toContain(CONTROL_PLANE_TOKEN);
  expect(JSON.parse(ran.stdout)).toMatchObject({
    cluster_name: 'shop',
    control_plane: CONTROL_PLANE,
  });
  expect(await machine.files.readText('/etc/pipeops-agent/config.yaml')).toContain('agent-0123');
  const token = '/var/lib/pipeops-agent/credentials/control-plane-token';
  expect(await machine.files.readText(token)).toBe(`${CONTROL_PLANE_TOKEN}\n`);
  expect(await machine.files.stat('/cluster/deployment')).toBeUndefined();
  const steps: readonly string[] = JSON.parse(ran.stdout).steps.map(({ id }: { id: string }) => id);
  const order = ['agent-ready', 'in-cluster-agent'];
  expect(steps.filter((id) => order.includes(id))).toEqual(order);
});

test('what was in the cluster under our names is put back, and its namespace stays', async () => {
  await put('/cluster/found', JSON.stringify(IN_CLUSTER));
  await put('/cluster/deployment', 'deployment.apps/pipeops-agent\n');
  const before = await state();
  expect((await machine.run(['install', '--adopt', '--yes', '--json'])).exitCode).toBe(0);
  const since = machine.calls.length;
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
  expect(await state()).toEqual(before);
  const given = machine.calls
    .slice(since)
    .flatMap(({ stdin = '' }) => (stdin === '' ? [] : [stdin]));
  const [deleted, restored] = given.map((text) => JSON.parse(text).items);
  expect(deleted.map(({ kind }: { kind: string }) => kind)).not.toContain('Namespace');
  // What is made while the agent runs is in no manifest.
  const memory = 'delete --ignore-not-found secrets -n pipeops-system -l pipeops.io/memory';
  expect(machine.calls.filter(({ argv }) => argv.join(' ').endsWith(memory)).length).toBe(1);
  expect(restored).toEqual(
    IN_CLUSTER.items.slice(1).map((item) => {
      const { status: _, ...rest } = item as typeof item & { status?: unknown };
      return { ...rest, metadata: { name: item.metadata.name, labels: item.metadata.labels } };
    }),
  );
});

test('an agent in the cluster stays while ours is not registered', async () => {
  await put('/cluster/found', JSON.stringify(IN_CLUSTER));
  await put('/cluster/deployment', 'deployment.apps/pipeops-agent\n');
  agentIsNotReady(machine);
  expect((await machine.run(['install', '--adopt', '--yes', '--json'])).exitCode).not.toBe(0);
  expect(await machine.files.stat('/cluster/deployment')).toBeDefined();
});

test.each([
  ['data elsewhere', '/etc/rancher/k3s/config.yaml', 'data-dir: /srv/k3s\n', 'CLUSTER_EXISTS'],
  ['an old version', '/usr/local/bin/k3s', 'v1.28.3+k3s2', 'HOST_UNSUPPORTED'],
  ['RKE2 beside it', '/usr/local/bin/rke2', '', 'CLUSTER_EXISTS'],
  ['a swarm', '/var/lib/docker/swarm/docker-state.json', '{}', 'CLUSTER_EXISTS'],
])('a k3s with %s is refused', async (_, path, text, code) => {
  await put(path, text);
  const before = await state();
  expect(errorOf(await install('--adopt', '--yes'))).toMatchObject({ exitCode: 4, code });
  expect(await state()).toEqual(before);
});

test('a k3s whose program is elsewhere is refused, with the reason', async () => {
  await machine.files.remove('/usr/local/bin/k3s');
  expect(errorOf(await install('--adopt', '--yes'))).toMatchObject({
    exitCode: 4,
    code: 'CLUSTER_EXISTS',
    message: 'k3s.service runs a k3s that is not /usr/local/bin/k3s: that cannot be taken over',
  });
});

test('a k3s that does not run is refused, and so is a worker', async () => {
  machine.units.set('k3s.service', 'failed');
  expect(errorOf(await install('--adopt', '--yes'))).toMatchObject({ code: 'K3S_NOT_READY' });
  await machine.files.remove('/etc/systemd/system/k3s.service');
  await put('/etc/systemd/system/k3s-agent.service', UNIT);
  expect(errorOf(await install('--adopt', '--yes'))).toMatchObject({
    code: 'CLUSTER_EXISTS',
    message: 'This machine is a worker of another k3s cluster',
  });
});

test('--adopt finds nothing on a bare machine, and does not install k3s instead', async () => {
  await using bare = await simulatedMachine();
  const ran = await bare.run(['install', '--adopt', '--yes', '--json'], { env: ENV });
  expect(errorOf(ran)).toMatchObject({ exitCode: 2, code: 'USAGE' });
});
