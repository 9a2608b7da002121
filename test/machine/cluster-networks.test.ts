/** The networks of a new cluster: free ones, kept for good, and the same on every machine. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { decodeJoinToken } from '../../src/protocol/secrets/join-token.ts';
import {
  errorOf,
  INSTALL,
  INSTALL_ENV,
  JOIN,
  joinToken,
  STANDALONE,
} from '../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const K3S_FILE = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';
const ENVIRONMENT_FILES = {
  server: '/etc/systemd/system/k3s.service.env',
  worker: '/etc/systemd/system/k3s-agent.service.env',
};
const PROXY = 'http://proxy.test:3128';
const FREE = {
  pods: ['10.44.0.0/16'],
  services: ['10.45.0.0/16'],
  because: ['10.42.0.0/16 is routed over wg0'],
};
const FREE_FLAGS = { 'cluster-cidr': '10.44.0.0/16', 'service-cidr': '10.45.0.0/16' };

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

/** What ip(8) says: a VPN to the network that k3s usually gives to pods. */
function useVpn(its = machine, vpn = { dst: '10.42.0.0/16', dev: 'wg0' }): void {
  const rows = [{ dst: 'default', gateway: '10.0.0.254', dev: 'eth0' }, vpn];
  its.programs.set('ip', (argv) =>
    argv.includes('route') && argv.includes('-4') ? { stdout: JSON.stringify(rows) } : undefined,
  );
}

const install = (more: readonly string[] = [], env: Readonly<Record<string, string>> = {}) =>
  machine.run([...INSTALL, ...more], { env: { ...INSTALL_ENV, ...env } });
const told = async () => Bun.YAML.parse((await machine.files.readText(K3S_FILE)) ?? '') as object;
const written = async () =>
  Bun.YAML.parse((await machine.files.readText('/etc/pipeops-agent/config.yaml')) ?? '') as {
    readonly k3s?: object;
  };
const networksOf = async () => {
  const { stdout } = await machine.run(['config', 'show', '--json']);
  const { settings } = JSON.parse(stdout) as { settings: { setting: string; value: unknown }[] };
  return settings
    .filter(({ setting }) => setting.endsWith('_cidr'))
    .map((row) => ({ ...row }) as Record<string, unknown>);
};

/** The networks of 10.0.0.0/8 that containerd reaches by itself. */
async function withoutProxy(its: SimulatedMachine, file: string): Promise<readonly string[]> {
  const list = /NO_PROXY="([^"]*)"/.exec((await its.files.readText(file)) ?? '')?.[1] ?? '';
  return list.split(',').filter((entry) => /^10\..*\//.test(entry));
}

test('where a VPN has the usual networks a free pair is taken, told and kept', async () => {
  useVpn();
  const dry = await install(['--dry-run']);
  expect(JSON.parse(dry.stdout).networks).toEqual(FREE);
  const ran = await install();
  expect(ran.stderr).toContain(
    'Pods get 10.44.0.0/16 and Services 10.45.0.0/16, because 10.42.0.0/16 is routed over wg0.',
  );
  expect(JSON.parse(ran.stdout).networks).toEqual(FREE);
  expect(await told()).toMatchObject(FREE_FLAGS);
  expect((await written()).k3s).toEqual({
    mirror: 'https://k3s.test',
    cluster_cidr: ['10.44.0.0/16'],
    service_cidr: ['10.45.0.0/16'],
  });
  await machine.put(ENVIRONMENT_FILES.server, ''); // As k3s' installer leaves it.
  await install([], { HTTPS_PROXY: PROXY });
  expect(await withoutProxy(machine, ENVIRONMENT_FILES.server)).toEqual([
    '10.44.0.0/16',
    '10.45.0.0/16',
  ]);
  const row = { source: 'file', in_force: true, note: null };
  expect(await networksOf()).toEqual([
    { setting: 'k3s.cluster_cidr', value: ['10.44.0.0/16'], ...row },
    { setting: 'k3s.service_cidr', value: ['10.45.0.0/16'], ...row },
  ]);
});

test('later runs keep what was taken, whatever is routed by then', async () => {
  useVpn();
  await install();
  machine.programs.delete('ip');
  const again = JSON.parse((await install()).stdout);
  expect(again.networks).toEqual({ ...FREE, because: [] });
  const changed = again.steps.filter((step: { changed: boolean }) => step.changed);
  expect(changed).toEqual([]);
  const other = await install(['--cluster-cidr', '10.60.0.0/16']);
  expect(errorOf(other)).toMatchObject({
    code: 'SETTING_FIXED',
    message: 'The cluster was made with cluster-cidr 10.44.0.0/16',
  });
});

test('a run that was killed before it wrote its settings goes on with the same networks', async () => {
  useVpn();
  await install();
  await machine.files.remove('/etc/pipeops-agent/config.yaml');
  machine.programs.delete('ip');
  expect(JSON.parse((await install()).stdout).networks).toEqual({ ...FREE, because: [] });
  expect(await told()).toMatchObject(FREE_FLAGS);
});

test('a cluster that has the usual networks keeps them when a VPN comes', async () => {
  await install();
  useVpn();
  const again = await install();
  expect(JSON.parse(again.stdout).networks).toBeNull();
  expect(errorOf(await install(['--cluster-cidr=10.60.0.0/16'])).message).toBe(
    'The cluster was made with the usual networks',
  );
});

test('chosen networks are taken as they are, and their overlap is told', async () => {
  useVpn();
  const ran = await install(['--cluster-cidr=10.42.0.0/17', '--service-cidr=10.60.0.0/16']);
  expect(ran.stderr).toContain(
    'Addresses of pods and Services are used already: 10.42.0.0/16 is routed over wg0 and overlaps 10.42.0.0/17. ' +
      'Take that away, or choose others: --cluster-cidr 10.44.0.0/16 --service-cidr 10.45.0.0/16',
  );
  expect(await told()).toMatchObject({ 'cluster-cidr': '10.42.0.0/17' });
});

test('an address inside of a chosen network stops the installation', async () => {
  const ran = await install(['--cluster-cidr=10.0.0.0/16']);
  expect(errorOf(ran)).toMatchObject({ code: 'CHECK_FAILED', exitCode: 11 });
  expect(await machine.files.stat(K3S_FILE)).toBeUndefined();
});

test("networks in a person's file for k3s are left to that person", async () => {
  useVpn();
  await machine.put('/etc/rancher/k3s/config.yaml', 'cluster-cidr: 10.42.0.0/16\n');
  const ran = await install();
  expect(JSON.parse(ran.stdout).networks).toBeNull();
  expect(ran.stderr).toContain('change cluster-cidr to 10.44.0.0/16');
});

test('a machine with only IPv6 gets networks of IPv6, and tells k3s its address', async () => {
  const only6 = { env: INSTALL_ENV, addresses: ['fe80::1', '2001:db8::5', '2001:db8::6'] };
  machine.programs.set('ip', (argv) =>
    argv.includes('get') ? { stdout: JSON.stringify([{ prefsrc: '2001:db8::6' }]) } : undefined,
  );
  const ran = await machine.run(STANDALONE, only6);
  expect(JSON.parse(ran.stdout).networks).toEqual({
    pods: ['fd42:42:42::/56'],
    services: ['fd42:42:43::/112'],
    because: ['this machine has only IPv6'],
  });
  expect(await told()).toMatchObject({
    'cluster-cidr': 'fd42:42:42::/56',
    'service-cidr': 'fd42:42:43::/112',
    'flannel-ipv6-masq': true,
    'node-ip': '2001:db8::6',
  });
});

test('for networks of both versions k3s is told an address of each', async () => {
  await install([
    '--cluster-cidr=10.50.0.0/16,fd50::/56',
    '--service-cidr=10.51.0.0/16,fd51::/112',
  ]);
  expect(await told()).toMatchObject({
    'cluster-cidr': '10.50.0.0/16,fd50::/56',
    'service-cidr': '10.51.0.0/16,fd51::/112',
    'node-ip': '10.0.0.1,fd00::7',
  });
});

test('pods and Services of different versions of IP are refused', async () => {
  expect(errorOf(await install(['--cluster-cidr=fd50::/56']))).toMatchObject({
    code: 'CONFIG_INVALID',
    details: {
      problems: [
        'k3s.service_cidr: must have the versions of IP of k3s.cluster_cidr, in the same order',
      ],
    },
  });
});

test('a worker knows the networks of its cluster from its token', async () => {
  useVpn();
  await machine.run(INSTALL, { env: INSTALL_ENV });
  const { stdout } = await machine.run(['token', 'create', '--json']);
  const { networks } = decodeJoinToken(JSON.parse(stdout).token);
  expect(networks).toEqual({ pods: FREE.pods, services: FREE.services });

  await using worker = await simulatedMachine();
  const env = { ...INSTALL_ENV, HTTPS_PROXY: PROXY };
  useVpn(worker, { dst: '10.44.0.0/20', dev: 'wg1' });
  const joined = await worker.run(JOIN, {
    env,
    stdin: joinToken(networks === undefined ? {} : { networks }),
  });
  expect(joined.stderr).toContain(
    'Addresses of pods and Services are used already: 10.44.0.0/20 is routed over wg1 and overlaps 10.44.0.0/16. ' +
      'Take that away: the networks of a cluster cannot be changed once it is there.',
  );
  await worker.put(ENVIRONMENT_FILES.worker, '');
  await worker.run(['install', '--json'], { env });
  expect(await withoutProxy(worker, ENVIRONMENT_FILES.worker)).toEqual([
    '10.44.0.0/16',
    '10.45.0.0/16',
  ]);
  const shown = JSON.parse((await worker.run(['config', 'show', '--json'])).stdout);
  expect(
    shown.settings.find(({ setting }: { setting: string }) => setting === 'k3s.cluster_cidr'),
  ).toEqual({
    setting: 'k3s.cluster_cidr',
    value: ['10.44.0.0/16'],
    source: 'file',
    in_force: true,
    note: "the cluster's, from the join token",
  });
});
