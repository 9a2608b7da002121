/** What is put back, and what stays, where a person or a full disk came between installation and removal. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { rootCertificates } from 'node:tls';
import { encodeJoinToken } from '../../src/protocol/secrets/join-token.ts';
import {
  CLUSTER_CA,
  CONTROL_PLANE,
  MIRROR,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';

const ENV = { PIPEOPS_API_URL: CONTROL_PLANE, PIPEOPS_K3S_MIRROR: MIRROR };
const HOST_STATE = '/var/lib/pipeops-agent-host';
const ORIGINALS = `${HOST_STATE}/originals.json`;
const INVENTORY = `${HOST_STATE}/inventory.json`;
const CONFIG = '/etc/pipeops-agent/config.yaml';
const POLICY = '/etc/pipeops-agent/policy.yaml';
const KUBECONFIG = '/etc/pipeops-agent/kubeconfig';
const UNIT = '/etc/systemd/system/pipeops-agent.service';
const K3S_CONFIG = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';
const PASSWORD = '/etc/rancher/node/password';
const TOKEN = '/var/lib/pipeops-agent/credentials/control-plane-token';
const JOIN_TOKEN = encodeJoinToken({
  v: 1,
  servers: ['https://10.0.0.1:6443'],
  ca: CLUSTER_CA,
  token: 'K10secret::abcdef.0123456789abcdef',
  role: 'agent',
  expires: null,
});

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (...flags: readonly string[]) =>
  machine.run(
    ['install', '--token-file', '/root/token', '--cluster-name', 'test', '--json', ...flags],
    { env: ENV },
  );
const join = () => machine.run(['join', '--token', '-', '--json'], { env: ENV, stdin: JOIN_TOKEN });
const undo = (...flags: readonly string[]) =>
  machine.run(['install', '--undo', '--json', ...flags], { confirm: true });

async function uninstall(...flags: readonly string[]) {
  const ran = await machine.run(['uninstall', '--yes', '--json', ...flags]);
  expect(ran).toMatchObject({ exitCode: 0 });
  return JSON.parse(ran.stdout) as { removed: string[]; kept: string[]; left: unknown[] };
}

async function put(path: string, data: string | Uint8Array, mode = 0o644): Promise<void> {
  await machine.files.makeDirectory(path.slice(0, path.lastIndexOf('/')), { mode: 0o755 });
  await machine.files.writeAtomic(path, data, { mode });
}

type Noted = Record<string, { readonly kind: string; readonly name: string }[]>;

/** Changes a list of root's, as another version would have written it. */
async function change(path: string, more: (old: Noted) => unknown): Promise<void> {
  const old = JSON.parse((await machine.files.readText(path)) ?? '');
  await put(path, JSON.stringify(more(old)), 0o600);
}

async function texts(...paths: readonly string[]) {
  const listing = await machine.listing();
  return Object.fromEntries(paths.map((path) => [path, listing[path]]));
}

/** The last of everything: an installation that fails there is taken back. */
const agentIsNotReady = () =>
  machine.web.set('http://agent/api/health/detailed', async () => {
    const health = await machine.health();
    const reasons = [{ code: 'POLICY_INVALID', message: 'it is wrong' }];
    return Response.json({ ...health, ready: false, reasons });
  });

test('a file that was there and that a person has changed since stays as the person made it', async () => {
  await put(CONFIG, 'log: { level: debug }\n', 0o604);
  await put(K3S_CONFIG, 'debug: true\n', 0o600);
  await put(UNIT, '[Unit]\n');
  await put(KUBECONFIG, 'of another time');
  const before = await texts(KUBECONFIG);
  expect((await install()).exitCode).toBe(0);
  const edited = {
    [CONFIG]: `${await machine.files.readText(CONFIG)}# mine\n`,
    [K3S_CONFIG]: '# mine, too\n',
    [UNIT]: '[Unit]\nDescription=Mine\n',
  };
  for (const [path, text] of Object.entries(edited)) {
    await put(path, text);
  }

  const { kept } = await uninstall();
  expect(kept).toEqual([K3S_CONFIG, CONFIG, UNIT]);
  expect(await texts(CONFIG, K3S_CONFIG, UNIT, KUBECONFIG)).toEqual({ ...edited, ...before });
  // With the mode and the owner of before: the agent's group is gone.
  expect(await machine.files.stat(CONFIG)).toMatchObject({ mode: 0o604 });
});

test('what a person has changed before the agent writes the file again is not lost', async () => {
  await put(CONFIG, 'log: { level: debug }\n');
  await install();
  await put(CONFIG, '# mine\nlog: { level: warn }\n');
  expect((await install('--log-level', 'error')).exitCode).toBe(0);
  expect(await machine.files.readText(CONFIG)).toContain('error');
  await uninstall();
  expect(await machine.files.readText(CONFIG)).toBe('# mine\nlog: { level: warn }\n');
});

test('a file that the agent has written again and again is put back as it was', async () => {
  await put(CONFIG, 'log: { level: debug }\n');
  await put(KUBECONFIG, 'of another time');
  const before = await texts(CONFIG, KUBECONFIG);
  for (const level of ['info', 'warn', 'error']) {
    expect((await install('--log-level', level)).exitCode).toBe(0);
    await machine.files.remove(KUBECONFIG);
    expect((await machine.run(['credentials', 'renew'])).exitCode).toBe(0);
  }
  expect((await uninstall()).kept).toEqual([]);
  expect(await texts(CONFIG, KUBECONFIG)).toEqual(before);
});

test('a policy that was there before stays, in the words of a preset, too', async () => {
  await put(POLICY, 'preset: standard\n');
  expect((await install()).exitCode).toBe(0);
  expect((await install()).exitCode).toBe(0);
  await uninstall();
  expect(await texts(POLICY)).toEqual({ [POLICY]: 'preset: standard\n' });
});

test('the files of an older agent, which took no note of them, are not taken for originals', async () => {
  await put('/etc/pipeops-agent/notes', 'of somebody');
  const before = await machine.tree();
  await install();
  // Of a directory that was there it has noted nothing, and of the files in it neither.
  await change(ORIGINALS, ({ originals, ...rest }) => ({
    ...rest,
    originals: originals?.filter(({ kind }) => kind === 'nothing'),
  }));
  await change(INVENTORY, ({ entries, ...rest }) => ({
    ...rest,
    entries: entries?.filter(({ name }) => !name.startsWith('/etc/pipeops-agent')),
  }));

  expect((await install('--log-level', 'debug')).exitCode).toBe(0);
  await uninstall();
  const after = await machine.tree();
  expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort());
});

test('an original whose directory is gone is put back all the same', async () => {
  await put(CONFIG, 'log: { level: debug }\n', 0o604);
  await put(UNIT, '[Unit]\n');
  await put(K3S_CONFIG, 'debug: true\n', 0o600);
  await machine.files.makeDirectory('/usr/local/bin', { mode: 0o755 });
  await put('/srv/agent', 'a program', 0o755);
  await machine.files.link('/srv/agent', '/usr/local/bin/pipeops-agent');
  const before = await machine.tree();
  await install();
  await machine.files.removeTree('/etc/pipeops-agent');
  await machine.files.removeTree('/etc/systemd');
  await machine.files.removeTree('/etc/rancher');
  await uninstall();
  expect(await machine.tree()).toEqual(before);
});

test.each(['uninstall', 'undo'])('%s frees a disk that is full', async (how) => {
  await put(CONFIG, 'log: { level: debug }\n');
  const before = await machine.tree();
  if (how === 'undo') {
    agentIsNotReady();
  }
  await install();
  machine.fillDisk('/var/lib/rancher/k3s');
  expect(
    (await (how === 'undo' ? undo() : uninstall().then(() => ({ exitCode: 0 })))).exitCode,
  ).toBe(0);
  expect(await machine.tree()).toEqual(before);
});

test('a disk that stays full ends an uninstallation with that word, and it goes on later', async () => {
  await put(CONFIG, 'log: { level: debug }\n');
  const before = await machine.tree();
  await install();
  machine.fillDisk('/root/token');
  const ran = await machine.run(['uninstall', '--yes', '--json']);
  expect(JSON.parse(ran.stdout).error).toMatchObject({ code: 'DISK_FULL' });
  machine.fillDisk('/nowhere');
  await uninstall();
  expect(await machine.tree()).toEqual(before);
});

test('a user that was deleted by hand is no hindrance: what only it may remove is told', async () => {
  await machine.files.makeDirectory('/var/lib/pipeops-agent', { mode: 0o711 });
  await install();
  await put('/etc/passwd', 'root:x:0:0::/root:/bin/sh\n');
  machine.programs.set('runuser', () => ({ exitCode: 1, stderr: 'user does not exist' }));
  const plan = await machine.run(['uninstall', '--dry-run', '--json']);
  expect(JSON.parse(plan.stdout).kept).toEqual([TOKEN]);
  const ran = await machine.run(['uninstall', '--yes']);
  expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toEqual({
    exitCode: 0,
    stderr: expect.stringContaining(`Kept: ${TOKEN}`),
  });
  expect(await machine.files.stat(TOKEN)).toBeDefined();
});

test('originals come back to the byte, whatever they are written in', async () => {
  const latin1 = Buffer.from('# \xfcber\nlog: { level: debug }\n', 'latin1');
  const bom = Buffer.from('\ufeff[Unit]\n');
  await put(CONFIG, latin1);
  await put(UNIT, bom);
  await put(KUBECONFIG, Buffer.from([0, 255, 254, 10]));
  const bytes = async () =>
    Promise.all([CONFIG, UNIT, KUBECONFIG].map((path) => machine.files.readBytes(path)));
  const before = await bytes();
  agentIsNotReady();
  await install();
  expect((await undo()).exitCode).toBe(0);
  expect(await bytes()).toEqual(before);
});

test('a worker whose k3s was removed by hand keeps the password that the cluster may know', async () => {
  agentIsNotReady();
  expect((await join()).exitCode).not.toBe(0);
  await machine.files.removeTree('/var/lib/rancher/k3s');
  await machine.files.remove('/usr/local/bin/k3s');
  const ran = await machine.run(['join', '--undo', '--json'], { confirm: true });
  expect(JSON.parse(ran.stdout)).toMatchObject({ kept: [PASSWORD] });
  expect(await machine.files.readText(PASSWORD)).toBe('0123456789abcdef\n');
});

test('what stands in the data of k3s before the installation is told, and that it goes', async () => {
  await put('/var/lib/rancher/k3s/agent/images/mine.tar', 'images');
  await put('/var/lib/rancher/k3s/server/db/snapshots/old', 'a snapshot');
  const { stderr } = await install();
  expect(stderr).toContain('/var/lib/rancher/k3s/agent/images');
  expect(stderr).toContain('/var/lib/rancher/k3s/server/db/snapshots');
  expect((await install()).stderr).not.toContain('images');
  const plan = await machine.run(['uninstall', '--dry-run']);
  expect(plan.stdout).toContain('remove /var/lib/rancher/k3s');
});

test('a certificate that a person has put in its very place stays', async () => {
  const ca = '/etc/pipeops-agent/control-plane-ca.pem';
  await put(ca, `${rootCertificates[0]}\n`, 0o644);
  const before = await machine.tree();
  expect((await install('--ca-file', ca)).exitCode).toBe(0);
  expect((await install('--ca-file', ca)).exitCode).toBe(0);
  expect((await uninstall()).kept).toEqual([]);
  expect(await machine.tree()).toEqual(before);
});
