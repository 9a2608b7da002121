/** What is put back, and what stays, where a person or a full disk came between installation and removal. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { rootCertificates } from 'node:tls';
import { agentIsNotReady, setUp } from '../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

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

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (...flags: readonly string[]) => setUp(machine, 'install', ...flags);
const join = () => setUp(machine, 'join');
const undo = (...flags: readonly string[]) =>
  machine.run(['install', '--undo', '--json', ...flags], { confirm: true });

async function uninstall(...flags: readonly string[]) {
  const ran = await machine.run(['uninstall', '--yes', '--json', ...flags]);
  expect(ran).toMatchObject({ exitCode: 0 });
  return JSON.parse(ran.stdout) as { removed: string[]; kept: string[]; left: unknown[] };
}

type Noted = Record<string, { readonly kind: string; readonly name: string }[]>;

/** Changes a list of root's, as another version would have written it. */
async function change(path: string, more: (old: Noted) => unknown): Promise<void> {
  const old = JSON.parse((await machine.files.readText(path)) ?? '');
  await machine.put(path, JSON.stringify(more(old)), 0o600);
}

async function texts(...paths: readonly string[]) {
  const listing = await machine.listing();
  return Object.fromEntries(paths.map((path) => [path, listing[path]]));
}

test('a file that was there and that a person has changed since stays as the person made it', async () => {
  await machine.put(CONFIG, 'log: { level: debug }\n', 0o604);
  await machine.put(K3S_CONFIG, 'debug: true\n', 0o600);
  await machine.put(UNIT, '[Unit]\n');
  await machine.put(KUBECONFIG, 'of another time');
  const before = await texts(KUBECONFIG);
  expect((await install()).exitCode).toBe(0);
  const edited = {
    [CONFIG]: `${await machine.files.readText(CONFIG)}# mine\n`,
    [K3S_CONFIG]: '# mine, too\n',
    [UNIT]: '[Unit]\nDescription=Mine\n',
  };
  for (const [path, text] of Object.entries(edited)) {
    await machine.put(path, text);
  }

  const { kept } = await uninstall();
  expect(kept).toEqual([K3S_CONFIG, CONFIG, UNIT]);
  expect(await texts(CONFIG, K3S_CONFIG, UNIT, KUBECONFIG)).toEqual({ ...edited, ...before });
  // With the mode and the owner of before: the agent's group is gone.
  expect(await machine.files.stat(CONFIG)).toMatchObject({ mode: 0o604 });
});

test('what a person has changed before the agent writes the file again is not lost', async () => {
  await machine.put(CONFIG, 'log: { level: debug }\n');
  await install();
  await machine.put(CONFIG, '# mine\nlog: { level: warn }\n');
  expect((await install('--log-level', 'error')).exitCode).toBe(0);
  expect(await machine.files.readText(CONFIG)).toContain('error');
  await uninstall();
  expect(await machine.files.readText(CONFIG)).toBe('# mine\nlog: { level: warn }\n');
});

test('a file that the agent has written again and again is put back as it was', async () => {
  await machine.put(CONFIG, 'log: { level: debug }\n');
  await machine.put(KUBECONFIG, 'of another time');
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
  await machine.put(POLICY, 'preset: standard\n');
  expect((await install()).exitCode).toBe(0);
  expect((await install()).exitCode).toBe(0);
  await uninstall();
  expect(await texts(POLICY)).toEqual({ [POLICY]: 'preset: standard\n' });
});

test('the files of an older agent, which took no note of them, are not taken for originals', async () => {
  await machine.put('/etc/pipeops-agent/notes', 'of somebody');
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
  await machine.put(CONFIG, 'log: { level: debug }\n', 0o604);
  await machine.put(UNIT, '[Unit]\n');
  await machine.put(K3S_CONFIG, 'debug: true\n', 0o600);
  await machine.files.makeDirectory('/usr/local/bin', { mode: 0o755 });
  await machine.put('/srv/agent', 'a program', 0o755);
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
  await machine.put(CONFIG, 'log: { level: debug }\n');
  const before = await machine.tree();
  if (how === 'undo') {
    agentIsNotReady(machine);
  }
  await install();
  machine.fillDisk('/var/lib/rancher/k3s');
  expect(
    (await (how === 'undo' ? undo() : uninstall().then(() => ({ exitCode: 0 })))).exitCode,
  ).toBe(0);
  expect(await machine.tree()).toEqual(before);
});

test('a disk that stays full ends an uninstallation with that word, and it goes on later', async () => {
  await machine.put(CONFIG, 'log: { level: debug }\n');
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
  await machine.put('/etc/passwd', 'root:x:0:0::/root:/bin/sh\n');
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
  await machine.put(CONFIG, latin1);
  await machine.put(UNIT, bom);
  await machine.put(KUBECONFIG, Buffer.from([0, 255, 254, 10]));
  const bytes = async () =>
    Promise.all([CONFIG, UNIT, KUBECONFIG].map((path) => machine.files.readBytes(path)));
  const before = await bytes();
  agentIsNotReady(machine);
  await install();
  expect((await undo()).exitCode).toBe(0);
  expect(await bytes()).toEqual(before);
});

test('a worker whose k3s was removed by hand keeps the password that the cluster may know', async () => {
  agentIsNotReady(machine);
  expect((await join()).exitCode).not.toBe(0);
  await machine.files.removeTree('/var/lib/rancher/k3s');
  await machine.files.remove('/usr/local/bin/k3s');
  const ran = await machine.run(['join', '--undo', '--json'], { confirm: true });
  expect(JSON.parse(ran.stdout)).toMatchObject({ kept: [PASSWORD] });
  expect(await machine.files.readText(PASSWORD)).toBe('0123456789abcdef\n');
});

test('a certificate that a person has put in its very place stays', async () => {
  const ca = '/etc/pipeops-agent/control-plane-ca.pem';
  await machine.put(ca, `${rootCertificates[0]}\n`, 0o644);
  const before = await machine.tree();
  expect((await install('--ca-file', ca)).exitCode).toBe(0);
  expect((await install('--ca-file', ca)).exitCode).toBe(0);
  expect((await uninstall()).kept).toEqual([]);
  expect(await machine.tree()).toEqual(before);
});
