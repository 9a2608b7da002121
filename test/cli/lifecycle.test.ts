/** The subcommands that change or show a machine, on a simulated one: every path and refusal. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../src/core/ports.ts';
import { BUILD } from '../../src/core/version.ts';
import type { SettingRow } from '../../src/machine/settings-in-force.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { decodeJoinToken, encodeJoinToken } from '../../src/protocol/secrets/join-token.ts';
import { errorOf, INSTALL, INSTALL_ENV } from '../support/installation.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import {
  CLUSTER_CA,
  CONTROL_PLANE,
  CONTROL_PLANE_TOKEN,
  MIRROR,
  type Ran,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';
import { makeCertificates, makeChain } from '../support/tls.ts';

/** Told to every node's kubelet. */
const SECCOMP = { 'kubelet-arg+': ['seccomp-default=true'] };
const DAY_MS = 24 * 3_600_000;

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (words: readonly string[] = INSTALL, env: Record<string, string> = {}) =>
  machine.run(words, { env: { ...INSTALL_ENV, ...env } });

const NODE_FLAGS = [
  ...['--node-name', 'web-1', '--node-label', 'disk=ssd', '--node-label=a/b=c,d=e'],
  ...['--node-taint', 'dedicated=gpu:NoSchedule', '--node-ip', '10.0.0.7,fd00::7'],
];
const NODE_CONFIG = {
  'node-name': 'web-1',
  'node-label': ['disk=ssd', 'a/b=c', 'd=e'],
  'node-taint': ['dedicated=gpu:NoSchedule'],
  'node-ip': '10.0.0.7,fd00::7',
};

async function k3sConfig(): Promise<unknown> {
  const path = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';
  return Bun.YAML.parse((await machine.files.readText(path)) ?? '');
}

function changedSteps(ran: Ran): readonly string[] {
  const { steps } = JSON.parse(ran.stdout) as { steps: { id: string; changed: boolean }[] };
  return steps.filter(({ changed }) => changed).map(({ id }) => id);
}

function joinToken(changes: Partial<Parameters<typeof encodeJoinToken>[0]> = {}): string {
  return encodeJoinToken({
    v: 1,
    servers: ['https://10.0.0.9:6443', 'https://10.0.0.1:6443'],
    ca: CLUSTER_CA,
    token: 'K10secret::abcdef.0123456789abcdef',
    role: 'agent',
    expires: new Date(Date.now() + DAY_MS).toISOString(),
    ...changes,
  });
}

/** The bridge of pods, which cannot be removed at first. */
async function leaveBridge(): Promise<void> {
  await machine.files.makeDirectory('/sys/class/net/cni0', { mode: 0o755 });
  machine.programs.set('ip', () => ({ exitCode: 2, stderr: 'busy' }));
}

async function letBridgeGo(): Promise<void> {
  machine.programs.set('ip', async (argv) => {
    if (argv.join(' ') === 'ip link delete cni0') {
      await machine.files.removeTree('/sys/class/net');
    }
    return {};
  });
}

describe('install', () => {
  test('takes every step in order, and a second run none', async () => {
    const first = await install();
    expect(first.exitCode).toBe(0);
    expect(changedSteps(first)).toEqual([
      'place-executable',
      'k3s-config',
      'k3s-install',
      'k3s-start',
      'agent-account',
      'agent-config',
      'control-plane-token',
      'helper',
      'snapshots',
      'k3s-upgrade',
      'k3s-asked',
      'agent-unit',
      'root-units',
      'agent-permissions',
      'policy-file',
      'agent-kubeconfig',
      'start-agent',
    ]);
    expect(JSON.parse(first.stdout)).toMatchObject({
      role: 'server',
      node: 'node-1',
      cluster_name: 'test',
      control_plane: CONTROL_PLANE,
      ports: [6443, 10250, 8080, 8443],
      units: ['k3s.service', 'pipeops-agent.service'],
    });
    const second = await install();
    expect({ exitCode: second.exitCode, changed: changedSteps(second) }).toEqual({
      exitCode: 0,
      changed: [],
    });
  });

  test('gives k3s its role and version by environment and the rest by file', async () => {
    await install([...INSTALL, '--traefik']);
    const installer = machine.calls.find(({ argv }) => argv[0] === 'sh');
    expect(installer?.env).toEqual({
      INSTALL_K3S_EXEC: 'server',
      INSTALL_K3S_VERSION: 'v1.36.3+k3s1',
      INSTALL_K3S_SKIP_ENABLE: 'true',
      INSTALL_K3S_SKIP_START: 'true',
      INSTALL_K3S_SKIP_DOWNLOAD: 'binary',
      GITHUB_URL: MIRROR,
    });
    const config = await machine.files.readText('/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml');
    expect(Bun.YAML.parse(config ?? '')).toEqual({
      ...SECCOMP,
      'write-kubeconfig-mode': '0600',
    });
  });

  test('writes the given settings and no secret into the configuration', async () => {
    await install([...INSTALL, '--log-level', 'debug']);
    const config = (await machine.files.readText('/etc/pipeops-agent/config.yaml')) ?? '';
    expect(Bun.YAML.parse(config)).toEqual({
      cluster: { name: 'test' },
      control_plane: { url: CONTROL_PLANE },
      k3s: { mirror: MIRROR },
      log: { level: 'debug' },
    });
  });

  test('never puts a secret into arguments or environment of a program, or into its output', async () => {
    const ran = await install();
    const seen = JSON.stringify(machine.calls.map(({ argv, env }) => [argv, env]));
    for (const text of [seen, ran.stdout, ran.stderr]) {
      expect(text).not.toContain(CONTROL_PLANE_TOKEN);
      expect(text).not.toContain('eyJ');
    }
  });

  test('leaves directories of others as they are, and opens its own to the daemon', async () => {
    await machine.files.makeDirectory('/usr/local/bin', { mode: 0o2775 });
    await machine.files.makeDirectory('/etc/rancher/k3s/config.yaml.d', { mode: 0o700 });
    // As a run with a strict umask has left it.
    await machine.files.makeDirectory('/opt/pipeops-agent', { mode: 0o700 });
    expect((await install()).exitCode).toBe(0);
    const modes = async (paths: readonly string[]) =>
      Object.fromEntries(
        await Promise.all(
          paths.map(async (path) => [path, (await machine.files.stat(path))?.mode] as const),
        ),
      );
    const version = '/opt/pipeops-agent/0.0.0-dev';
    expect(
      await modes([
        ...['/usr/local/bin', '/etc/rancher/k3s/config.yaml.d', '/opt/pipeops-agent'],
        ...[version, `${version}/pipeops-agent`, '/etc/pipeops-agent'],
      ]),
    ).toEqual({
      '/usr/local/bin': 0o2775,
      '/etc/rancher/k3s/config.yaml.d': 0o700,
      '/opt/pipeops-agent': 0o755,
      [version]: 0o755,
      [`${version}/pipeops-agent`]: 0o755,
      '/etc/pipeops-agent': 0o750,
    });
    expect(changedSteps(await install())).toEqual([]);
  });

  test('goes on where a failed run ended', async () => {
    machine.programs.set('useradd', () => ({ exitCode: 4, stderr: 'UID already in use' }));
    expect(errorOf(await install())).toMatchObject({ exitCode: 7, code: 'TOOL_FAILED' });
    const journal = await machine.files.readText('/var/lib/pipeops-agent-host/steps.json');
    expect(JSON.parse(journal ?? '')).toMatchObject({
      'k3s-start': { state: 'done' },
      'agent-account': { state: 'begun' },
    });
    machine.programs.delete('useradd');
    expect(changedSteps(await install())[0]).toBe('agent-account');
  });

  test('starts the agent again when its configuration has changed', async () => {
    await install();
    const again = await install([...INSTALL, '--log-level', 'debug']);
    expect(changedSteps(again)).toEqual(['agent-config', 'start-agent']);
  });

  test('calls the cluster by the name of the machine, and keeps it when that changes', async () => {
    const first = await machine.run(['install', '--json'], { env: INSTALL_ENV, hostname: 'Web_1' });
    expect(errorOf(first)).toMatchObject({
      code: 'HOST_UNSUPPORTED',
      hint: 'Give it a name of its own with --node-name (K3S_NODE_NAME)',
    });
    expect(JSON.parse((await install(['install', '--json'])).stdout).cluster_name).toBe('Node-1');
    const renamed = await machine.run(['config', 'show', '--json'], { hostname: 'another' });
    const { settings } = JSON.parse(renamed.stdout) as {
      settings: SettingRow[];
    };
    expect(settings.find(({ setting }) => setting === 'cluster.name')).toEqual({
      setting: 'cluster.name',
      value: 'Node-1',
      source: 'file',
      in_force: true,
      note: null,
    });
  });

  test('tells k3s name, labels, taints and address of the node, and waits for it by that name', async () => {
    const ran = await install([...INSTALL, ...NODE_FLAGS]);
    expect(JSON.parse(ran.stdout)).toMatchObject({ node: 'web-1' });
    expect(await k3sConfig()).toEqual({
      ...SECCOMP,
      'write-kubeconfig-mode': '0600',
      disable: ['traefik'],
      ...NODE_CONFIG,
    });
    const asked = machine.calls.filter(({ argv }) => argv[2] === 'get' && argv[3] === 'node');
    expect(new Set(asked.map(({ argv }) => argv[4]))).toEqual(new Set(['web-1']));
    expect(changedSteps(await install(INSTALL))).toEqual([]);
  });

  test.each([
    [['--node-name', 'Web_1'], 'k3s.node_name'],
    [['--node-label', 'node-role.kubernetes.io/worker=true'], 'k3s.node_labels'],
    [['--node-taint', 'a=b'], 'k3s.node_taints'],
    [['--node-ip', '127.0.0.1'], 'k3s.node_ip'],
  ])('refuses %s before it changes anything', async (flags, setting) => {
    const before = await machine.listing();
    expect(errorOf(await install([...INSTALL, ...flags]))).toMatchObject({
      exitCode: 3,
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(setting),
    });
    expect(await machine.listing()).toEqual(before);
  });

  test('is standalone without a token, and connected by a later run with one', async () => {
    const first = await install(['install', '--json']);
    expect(JSON.parse(first.stdout)).toMatchObject({ control_plane: null });
    expect(first.stderr).toContain('standalone');
    expect(changedSteps(await install())).toEqual([
      'agent-config',
      'control-plane-token',
      'agent-permissions', // with them goes what further servers take over
      'start-agent',
    ]);
    expect(JSON.parse((await install(['install', '--json'])).stdout).control_plane).toBe(
      CONTROL_PLANE,
    );
  });

  test('takes the token from a variable, from standard input, or from a person', async () => {
    const file = '/var/lib/pipeops-agent/credentials/control-plane-token';
    await install(['install'], { PIPEOPS_TOKEN: CONTROL_PLANE_TOKEN });
    expect(await machine.files.readText(file)).toBe(`${CONTROL_PLANE_TOKEN}\n`);
    const words = ['install', '--token-file', '-'];
    const piped = await machine.run(words, { env: INSTALL_ENV, stdin: `${CONTROL_PLANE_TOKEN}\n` });
    expect(piped.exitCode).toBe(0);
    await using other = await simulatedMachine();
    const asked = await other.run(['install'], { env: INSTALL_ENV, secret: CONTROL_PLANE_TOKEN });
    expect(asked.stdout).toContain('This machine is ready');
    expect(await other.files.readText(file)).toBe(`${CONTROL_PLANE_TOKEN}\n`);
  });

  test('keeps a copy of the CA certificate that the daemon can read', async () => {
    const { ca } = await makeCertificates(['127.0.0.1']);
    await machine.files.writeAtomic('/root/ca.pem', ca, { mode: 0o600 });
    await install(INSTALL, { PIPEOPS_CA_FILE: '/root/ca.pem' });
    const copy = '/etc/pipeops-agent/control-plane-ca.pem';
    expect(await machine.files.readText(copy)).toBe(ca);
    expect(await machine.files.readText('/etc/pipeops-agent/config.yaml')).toContain(copy);
  });

  test('--dry-run tells each step and changes nothing', async () => {
    const before = await machine.listing();
    const ran = await install([...INSTALL, '--dry-run']);
    const { plan } = JSON.parse(ran.stdout) as { plan: { id: string; needed: boolean }[] };
    expect(plan.filter(({ needed }) => needed).length).toBeGreaterThan(10);
    const text = (await install(['install', '--dry-run'])).stdout;
    expect(text).toContain('create /usr/local/bin/k3s, create /etc/systemd/system/k3s.service');
    expect(text).toContain('create group pipeops-agent, create user pipeops-agent');
    expect(await machine.listing()).toEqual(before);
  });

  test('--dry-run tells of each resource what is made, changed and kept', async () => {
    await install();
    const changes = async (words: readonly string[]) => {
      const { plan } = JSON.parse((await install([...words, '--dry-run'])).stdout) as {
        plan: { id: string; needed: boolean; changes: { action: string; target: string }[] }[];
      };
      expect(plan.filter(({ changes: all }) => all.length === 0).map(({ id }) => id)).toEqual([
        'node-ready',
        'agent-ready',
        'system-ready',
        'prune-versions',
      ]);
      const needed = plan.filter((step) => step.needed).flatMap((step) => step.changes);
      const kept = plan.filter((step) => !step.needed).flatMap((step) => step.changes);
      expect(new Set(kept.map(({ action }) => action))).toEqual(new Set(['keep']));
      return needed.map(({ action, target }) => `${action} ${target}`);
    };
    expect(await changes(INSTALL)).toEqual([]);
    await machine.files.remove('/etc/pipeops-agent/policy.yaml');
    expect(await changes([...INSTALL, '--log-level', 'debug', '--traefik'])).toEqual([
      'change /etc/rancher/k3s/config.yaml.d/50-pipeops.yaml',
      'restart k3s.service',
      'change /etc/pipeops-agent/config.yaml',
      'create /etc/pipeops-agent/policy.yaml',
      'restart pipeops-agent.service',
    ]);
  });

  test('refuses before it changes anything', async () => {
    const before = await machine.listing();
    await machine.files.writeAtomic('/root/token', 'wrong-token\n', { mode: 0o600 });
    expect(errorOf(await install())).toMatchObject({ exitCode: 5, code: 'TOKEN_REJECTED' });
    const unreachable = await install(INSTALL, { PIPEOPS_API_URL: 'https://nowhere.test' });
    expect(errorOf(unreachable)).toMatchObject({
      exitCode: 6,
      code: 'CONTROL_PLANE_UNREACHABLE',
    });
    await machine.files.writeAtomic('/root/token', '\n', { mode: 0o600 });
    expect(errorOf(await install())).toMatchObject({ exitCode: 2, code: 'USAGE' });
    const noCa = await install(INSTALL, { PIPEOPS_CA_FILE: '/root/absent.pem' });
    expect(errorOf(noCa)).toMatchObject({ code: 'USAGE' });
    expect({ ...(await machine.listing()), '/root/token': '' }).toEqual({
      ...before,
      '/root/token': '',
    });
  });

  test.each([
    ['memory', '/proc/meminfo', 'MemTotal: 200000 kB\n', 'HOST_UNSUPPORTED'],
    ['processor', '/proc/cpuinfo', 'flags\t\t: fpu\n', 'HOST_UNSUPPORTED'],
    ['k3s of somebody else', '/usr/local/bin/k3s', '', 'CLUSTER_EXISTS'],
    ['port', '/proc/net/tcp', 'h\n0: 00000000:192B 0:0 0A 0:0 0:0 0 0 0 4711\n', 'PORT_IN_USE'],
  ])('refuses a machine for its %s', async (_, path, text, code) => {
    await machine.files.makeDirectory('/usr/local/bin', { mode: 0o755 });
    await machine.files.writeAtomic(path, text, { mode: 0o644 });
    expect(errorOf(await install())).toMatchObject({ exitCode: 4, code });
  });

  test('tells everything that stands in the way at once', async () => {
    await machine.files.writeAtomic('/proc/meminfo', 'MemTotal: 200000 kB\n', { mode: 0o644 });
    await machine.files.makeDirectory('/snap', { mode: 0o755 });
    await machine.files.writeAtomic('/snap/microk8s', '', { mode: 0o644 });
    await machine.files.remove('/usr/bin/runuser');
    const before = await machine.listing();
    const findings = [
      {
        id: 'memory',
        code: 'HOST_UNSUPPORTED',
        message: 'The machine has 195 MiB of memory, too little',
        hint: 'Kubernetes needs 512 MB for a worker and 2 GB for a server',
      },
      {
        id: 'tools',
        code: 'TOOL_MISSING',
        message: 'These programs are missing: runuser',
        hint: "Install them with this system's package manager, then run the same command again",
        details: { missing: ['runuser'] },
      },
      {
        id: 'other-cluster',
        code: 'CLUSTER_EXISTS',
        message: 'This machine already runs MicroK8s (/snap/microk8s)',
        hint: 'Use another machine, or remove it first: snap remove microk8s',
      },
    ];
    const list = findings.map((each, at) => `\n  ${at + 1}. ${each.message}\n     ${each.hint}`);
    expect(errorOf(await install())).toMatchObject({
      exitCode: 4,
      code: 'HOST_UNSUPPORTED',
      message: `3 things stand in the way:${list.join('')}`,
      hint: 'Nothing was changed. Mend all of them, then run the same command again',
      details: { findings },
    });
    expect(await machine.listing()).toEqual(before);
  });

  test('refuses a machine that lacks programs, and names them all, before it changes anything', async () => {
    for (const tool of ['runuser', 'useradd', 'curl']) {
      await machine.files.remove(`/usr/bin/${tool}`);
    }
    await machine.files.makeDirectory('/opt/tools', { mode: 0o755 });
    await machine.files.writeAtomic('/opt/tools/runuser', '', { mode: 0o755 });
    const before = await machine.listing();
    const ran = await install(INSTALL, { PATH: '/opt/tools:/bin' });
    expect(errorOf(ran)).toMatchObject({
      exitCode: 7,
      code: 'TOOL_MISSING',
      message: 'These programs are missing: useradd, curl or wget',
    });
    expect(await machine.listing()).toEqual(before);
  });

  test.each([
    ['/etc/group', 'pipeops-agent:x:4711:alice\n'],
    ['/etc/passwd', 'pipeops-agent:x:0:0::/:/bin/false\n'],
  ])('takes an entry of our name in %s and leaves it at the end', async (path, line) => {
    const text = (await machine.files.readText(path)) ?? '';
    await machine.files.writeAtomic(path, `${text}${line}`, { mode: 0o644 });
    expect((await install()).exitCode).toBe(0);
    expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
    const databases = ['/etc/passwd', '/etc/group'];
    const left = await Promise.all(databases.map((each) => machine.files.readText(each)));
    const name = line.split(':').slice(0, 3).join(':');
    expect(left.join('').match(/pipeops-agent:[^:]*:\d+/g)).toEqual([name]);
  });

  const K3S = '/etc/rancher/k3s';
  const put = async (path: string, text: string) => {
    await machine.files.makeDirectory(path.slice(0, path.lastIndexOf('/')), { mode: 0o755 });
    await machine.files.writeAtomic(path, text, { mode: 0o640 });
  };

  test.each([
    ['config.yaml', '# mine\nnode-name: web-9\n', ':2', 'node-name', '"node-1"; to set it, use'],
    ['config.yaml', 'tls-san: [a]\n"data-dir": /mnt\n', ':2', 'data-dir', '"/var/lib/rancher/k3s"'],
    ['config.yaml', '{data-dir: /mnt}\n', '', 'data-dir', '"/var/lib/rancher/k3s"'],
    ['config.yaml', 'server: https://10.0.0.2:6443\n', ':1', 'server', 'not set'],
    ['config.yaml', 'disable: [servicelb]\n', ':1', 'disable', '"traefik"; to set it'],
    ['config.yaml.d/10.yaml', 'disable+: [servicelb]\n', ':1', 'disable', '"traefik"; to set it'],
    ['config.yaml.d/99.yml', 'disable-scheduler: true\n', ':1', 'disable-scheduler', '"false"'],
    [
      'config.yaml.d/99.yaml',
      'kubelet-arg: [a=b]\n',
      ':1',
      'kubelet-arg',
      'call it "kubelet-arg+"',
    ],
    [
      'config.yaml.d/99.yaml',
      'write-kubeconfig-mode: "0644"',
      ':1',
      'write-kubeconfig-mode',
      '"0600"',
    ],
  ])('refuses %s that says %j to k3s, with its line', async (name, text, line, key, must) => {
    await put(`${K3S}/${name}`, text);
    const before = await machine.listing();
    const { exitCode, code, message, hint } = errorOf(await install());
    expect({ exitCode, code, message }).toEqual({
      exitCode: 3,
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(
        `k3s would read "${key}" in ${K3S}/${name}${line}, where it`,
      ),
    });
    for (const part of must.split('; ')) {
      expect(`${message}; ${hint}`).toContain(part);
    }
    expect(await machine.listing()).toEqual(before);
  });

  test.each([
    [`${K3S}/config.yaml`, '- a\n', 'it is no map of settings'],
    [`${K3S}/config.yaml.d/1.yaml`, 'a: [\n', 'could not read'],
    ['/etc/default/k3s', 'X=1\nK3S_NODE_NAME="web-9"\n', '/etc/default/k3s:2'],
    ['/etc/sysconfig/k3s', "K3S_DATA_DIR='/mnt'\n", '/etc/sysconfig/k3s:1'],
  ])('refuses %s of others that says %j', async (path, text, said) => {
    await put(path, text);
    expect(errorOf(await install())).toMatchObject({
      exitCode: 3,
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(said),
    });
  });

  test('uses the rest of what others tell k3s, says so, and leaves it at the end', async () => {
    const theirs = {
      [`${K3S}/config.yaml`]: 'node-name: node-1\ncluster-cidr: 10.99.0.0/16\ntoken: chosen\n',
      [`${K3S}/registries.yaml`]: 'mirrors: {}\n',
      [`${K3S}/config.yaml.d/60-mine.yaml`]: 'disable+: servicelb\nkubelet-arg+: [max-pods=50]\n',
      [`${K3S}/config.yaml.d/notes.txt`]: 'disable-agent: true\n',
      '/etc/default/k3s': 'HTTPS_PROXY=http://10.0.0.1:3128\n',
    };
    for (const [path, text] of Object.entries(theirs)) {
      await put(path, text);
    }
    const before = await machine.listing();
    const ran = await install();
    expect(ran.exitCode).toBe(0);
    expect(ran.stderr).toContain(
      `k3s also takes up what others have set here: node-name (${K3S}/config.yaml:1), ` +
        `cluster-cidr (${K3S}/config.yaml:2), token (${K3S}/config.yaml:3), ` +
        `disable (${K3S}/config.yaml.d/60-mine.yaml:1), ` +
        `kubelet-arg (${K3S}/config.yaml.d/60-mine.yaml:2). ` +
        'Change it there, then: sudo systemctl restart k3s.service.\n',
    );
    expect(changedSteps(await install())).toEqual([]);
    await put(`${K3S}/k3s.yaml`, 'of k3s');
    // The first run fails: theirs is there between the two, too.
    await leaveBridge();
    await machine.run(['uninstall', '--yes']);
    expect(await machine.listing()).toMatchObject(theirs);
    await letBridgeGo();
    expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
    const { '/cluster/account': _, ...left } = await machine.listing();
    expect(left).toEqual(before);
    expect((await machine.files.stat(`${K3S}/config.yaml`))?.mode).toBe(0o640);
  });

  test('names the process that holds a port', async () => {
    const listening = 'h\n0: 00000000:192B 0:0 0A 0:0 0:0 0 0 0 4711\n';
    await machine.files.writeAtomic('/proc/net/tcp', listening, { mode: 0o644 });
    await machine.files.makeDirectory('/proc/812/fd', { mode: 0o755 });
    await machine.files.link('socket:[4711]', '/proc/812/fd/7');
    await machine.files.writeAtomic('/proc/812/comm', 'nginx\n', { mode: 0o644 });
    expect(errorOf(await install()).message).toContain('6443 by nginx (pid 812)');
  });

  test.each([
    ['[ERROR] the download has a wrong SHA-256', 6, 'DOWNLOAD_CORRUPT'],
    ['[ERROR] Download failed: https://k3s.test/k3s', 6, 'DOWNLOAD_FAILED'],
    ['tee: k3s: No space left on device', 4, 'DISK_FULL'],
    ['[ERROR] something else', 7, 'K3S_INSTALL_FAILED'],
  ])('tells what "%s" of the installer means', async (stderr, exitCode, code) => {
    machine.programs.set('sh', () => ({ exitCode: 1, stderr }));
    expect(errorOf(await install())).toMatchObject({ exitCode, code });
  });

  test('asks the mirrors in turn, and takes no k3s that has not the published hash', async () => {
    const away = 'https://away.test';
    const env = { PIPEOPS_K3S_MIRROR: `${away}, ${MIRROR}/` };
    expect((await install(INSTALL, env)).exitCode).toBe(0);
    expect(await machine.files.list('/var/lib/pipeops-agent-host/downloads')).toEqual([]);
    await machine.run(['uninstall', '--yes']);

    const program = `${MIRROR}/download/v1.36.3%2Bk3s1/k3s`;
    machine.web.set(program, () => new Response('another'));
    expect(errorOf(await install(INSTALL, env))).toMatchObject({
      code: 'DOWNLOAD_CORRUPT',
      message: expect.stringContaining(`The SHA-256 of ${program} is not the published one`),
    });
    expect(await machine.files.stat('/usr/local/bin/k3s')).toBeUndefined();
  });

  test('refuses an installer that is a page, an unknown channel, and a mirror that is away', async () => {
    machine.web.set(`${MIRROR}/install.sh`, () => new Response('<html>'));
    expect(errorOf(await install())).toMatchObject({ code: 'DOWNLOAD_CORRUPT' });
    machine.web.set(`${MIRROR}/channels/stable`, () => new Response('no redirect'));
    expect(errorOf(await install())).toMatchObject({ code: 'DOWNLOAD_FAILED' });
    machine.web.set(`${MIRROR}/channels/stable`, () => new Response('', { status: 503 }));
    expect(errorOf(await install())).toMatchObject({ code: 'DOWNLOAD_FAILED' });
  });

  test('fails with the last line of k3s when that does not start', async () => {
    machine.programs.set('/usr/local/bin/k3s', (argv) => {
      if (argv[1] === '--version') {
        return { stdout: 'k3s version v1.36.3+k3s1' };
      }
      machine.units.set('k3s.service', 'failed');
      return { exitCode: 1 };
    });
    machine.programs.set('journalctl', () => ({ stdout: 'level=fatal msg="no memory cgroup"' }));
    expect(errorOf(await install())).toMatchObject({
      code: 'K3S_NOT_READY',
      message: expect.stringContaining('no memory cgroup'),
    });
  });
});

describe('a second install', () => {
  test.each([
    ['--traefik', { ...SECCOMP, 'write-kubeconfig-mode': '0600' }],
    [
      '--node-ip=10.0.0.7',
      { ...SECCOMP, 'write-kubeconfig-mode': '0600', disable: ['traefik'], 'node-ip': '10.0.0.7' },
    ],
    [
      '--ha',
      { ...SECCOMP, 'write-kubeconfig-mode': '0600', disable: ['traefik'], 'cluster-init': true },
    ],
    [
      '--server-address=k8s.example.com',
      {
        ...{ ...SECCOMP, 'write-kubeconfig-mode': '0600', disable: ['traefik'] },
        'tls-san+': ['k8s.example.com'],
      },
    ],
  ])('with %s starts k3s again with it', async (flag, config) => {
    await install();
    const planned = await install([...INSTALL, flag, '--dry-run']);
    const { plan } = JSON.parse(planned.stdout) as { plan: { id: string; needed: boolean }[] };
    // Further servers take the address over.
    const shared = flag.startsWith('--server-address') ? ['agent-permissions'] : [];
    const expected = ['k3s-config', 'k3s-start', 'agent-config', ...shared, 'start-agent'];
    expect(plan.filter(({ needed }) => needed).map(({ id }) => id)).toEqual(expected);
    const callsBefore = machine.calls.length;
    expect(changedSteps(await install([...INSTALL, flag]))).toEqual(expected);
    expect(await k3sConfig()).toEqual(config);
    const verbs = machine.calls
      .slice(callsBefore)
      .filter(({ argv }) => argv[0] === 'systemctl' && argv.at(-1) === 'k3s.service')
      .map(({ argv }) => argv[1])
      .filter((verb) => verb === 'stop' || verb === 'start');
    expect(verbs).toEqual(['stop', 'start']);
    expect(changedSteps(await install([...INSTALL, flag]))).toEqual([]);
  });

  test('starts k3s again also where the one that changed its configuration was interrupted', async () => {
    await install();
    machine.programs.set('systemctl', (argv) =>
      argv[1] === 'enable' ? { exitCode: 1 } : { stdout: 'ActiveState=active\nJob=' },
    );
    expect(errorOf(await install([...INSTALL, '--traefik'])).code).toBe('TOOL_FAILED');
    machine.programs.delete('systemctl');
    expect(changedSteps(await install([...INSTALL, '--traefik']))[0]).toBe('k3s-start');
  });

  test.each([
    ['--k3s-version=v1.37.0+k3s1', {}],
    ['--json', { K3S_VERSION: 'v1.37.0+k3s1' }],
  ])('with another version of k3s is refused, %s', async (flag, env) => {
    await install();
    const before = await machine.listing();
    for (const words of [
      [...INSTALL, flag],
      [...INSTALL, flag, '--dry-run'],
    ]) {
      expect(errorOf(await install(words, env))).toEqual({
        exitCode: 4,
        code: 'SETTING_FIXED',
        message:
          'k3s v1.36.3+k3s1 is installed here; v1.37.0+k3s1 would be an upgrade, which this does not do',
        hint: 'Leave out --k3s-version (K3S_VERSION): everything else is done with the k3s there is',
      } as never);
    }
    expect(await machine.listing()).toEqual(before);
    expect((await install([...INSTALL, '--k3s-version=v1.36.3+k3s1'])).exitCode).toBe(0);
  });

  test('with --no-ha is refused once the data are in etcd', async () => {
    await install([...INSTALL, '--ha']);
    expect(changedSteps(await install())).toEqual([]);
    expect(errorOf(await install([...INSTALL, '--no-ha']))).toEqual({
      exitCode: 4,
      code: 'SETTING_FIXED',
      message: "The cluster's data are in etcd already",
      hint: 'Leave out --no-ha (k3s.ha): k3s moves data to etcd, and never back to SQLite',
    } as never);
  });

  test('"ha enable" is the same as --ha, with the other settings as they are', async () => {
    await install([...INSTALL, '--node-ip=10.0.0.7']);
    const enable = ['ha', 'enable', '--server-address=k8s.example.com', '--json'];
    const ran = await machine.run(enable, { env: INSTALL_ENV });
    expect({ exitCode: ran.exitCode, config: await k3sConfig() }).toEqual({
      exitCode: 0,
      config: {
        ...{ ...SECCOMP, 'write-kubeconfig-mode': '0600', disable: ['traefik'] },
        'node-ip': '10.0.0.7',
        'cluster-init': true,
        'tls-san+': ['k8s.example.com'],
      },
    });
    expect(changedSteps(await machine.run(enable, { env: INSTALL_ENV }))).toEqual([]);
  });

  test('"ha enable" changes nothing on a machine that is no server', async () => {
    const before = await machine.listing();
    const ran = await machine.run(['ha', 'enable', '--json'], { env: INSTALL_ENV });
    expect(errorOf(ran)).toEqual({
      exitCode: 4,
      code: 'NOT_A_SERVER',
      message: 'This machine is not a server of a cluster',
      hint: 'Make it one that begins with etcd: sudo pipeops-agent install --ha',
    } as never);
    expect(await machine.listing()).toEqual(before);
  });

  test('with --ha tells of a disk that is slow for etcd, and without it does not look', async () => {
    const slow = /The disk of .* takes \d+ ms for a small write/;
    let now = 0;
    const monotonic = () => {
      now += 40; // Each look at the clock takes so long.
      return now;
    };
    const told = async (...words: readonly string[]) =>
      slow.test(
        (
          await machine.run([...INSTALL, ...words], {
            env: INSTALL_ENV,
            clock: { ...systemClock, monotonic },
          })
        ).stderr,
      );
    expect([await told(), await told('--ha', '--dry-run'), await told('--ha')]).toEqual([
      ...[false, false, true],
    ]);
  });

  test('goes by the k3s there is, when that was upgraded by hand', async () => {
    await install([...INSTALL, '--k3s-version=v1.36.3+k3s1']);
    await machine.files.writeAtomic('/usr/local/bin/k3s', 'v1.37.0+k3s1', { mode: 0o755 });
    expect((await install()).exitCode).toBe(0);
  });

  test.each([
    [['--node-name', 'web-2'], 'The node is in the cluster as "node-1" already'],
    [['--node-label', 'disk=hdd'], 'with disk=ssd as --node-label'],
    [['--node-taint', 'a:NoSchedule'], 'with nothing as --node-taint'],
  ])('with %s is refused: a node registers once', async (flags, message) => {
    await install([...INSTALL, '--node-label', 'disk=ssd']);
    const before = await machine.listing();
    expect(errorOf(await install([...INSTALL, ...flags]))).toMatchObject({
      exitCode: 4,
      code: 'SETTING_FIXED',
      message: expect.stringContaining(message),
    });
    expect(await machine.listing()).toEqual(before);
    expect(changedSteps(await install([...INSTALL, '--node-label=disk=ssd']))).toEqual([]);
  });

  describe('gives k3s the proxy', () => {
    const file = '/etc/systemd/system/k3s.service.env';
    const written = async () => (await machine.files.readText(file)) ?? '';
    /** As k3s' installer leaves it. */
    const leave = (text: string) => machine.files.writeAtomic(file, text, { mode: 0o600 });
    const inside =
      'localhost,127.0.0.0/8,::1,10.0.0.1,10.0.0.7,fd00::7,10.42.0.0/16,10.43.0.0/16,' +
      '.svc,.cluster.local,169.254.0.0/16,fe80::/10,fd00:ec2::254';

    test('for containerd alone, with all that is inside the cluster left out', async () => {
      await install();
      await leave("K3S_X=1\nHTTPS_PROXY='http://old:1'\nno_proxy='.test'\n");
      const env = { HTTPS_PROXY: 'http://user:p%40ss$@new:1', NO_PROXY: '.corp, 192.0.2.9' };
      const again = await install(INSTALL, env);
      expect(changedSteps(again)).toEqual(expect.arrayContaining(['k3s-proxy', 'k3s-start']));
      expect(await written()).toBe(
        'K3S_X=1\n' +
          'CONTAINERD_HTTP_PROXY="http://user:p%40ss%24@new:1"\n' +
          'CONTAINERD_HTTPS_PROXY="http://user:p%40ss%24@new:1"\n' +
          `CONTAINERD_NO_PROXY="${inside},.corp,192.0.2.9"\n`,
      );
      expect((await machine.files.stat(file))?.mode).toBe(0o600);
      const ofK3s = (ran: Ran) => changedSteps(ran).filter((id) => id.startsWith('k3s'));
      expect(ofK3s(await install(INSTALL, env))).toEqual([]);
      // The settings name it, and the password is known.
      expect(ofK3s(await install())).toEqual([]);
    });

    test('and leaves it alone where none is named', async () => {
      await install();
      await leave("HTTPS_PROXY='http://old:1'\n");
      expect(changedSteps(await install())).toEqual([]);
      expect(await written()).toBe("HTTPS_PROXY='http://old:1'\n");
    });

    test.each([
      ['all', /^HTTP_PROXY=.*\nHTTPS_PROXY=.*\nNO_PROXY="localhost,.*\n$/],
      ['none', /^\n$/],
    ])('--k3s-proxy %s', async (scope, expected) => {
      await install();
      await leave("HTTPS_PROXY='http://old:1'\n");
      const flags = [...INSTALL, '--k3s-proxy', scope];
      await install(flags, { HTTPS_PROXY: 'http://new:1' });
      expect(await written()).toMatch(expected);
      expect(changedSteps(await install(flags, { HTTPS_PROXY: 'http://new:1' }))).toEqual([]);
    });

    test('with the networks that a person gave k3s', async () => {
      const config = '/etc/rancher/k3s/config.yaml';
      await machine.files.makeDirectory('/etc/rancher/k3s', { mode: 0o755 });
      await machine.files.writeAtomic(config, 'cluster-cidr: 10.99.0.0/16,fd01::/48\n', {
        mode: 0o600,
      });
      await install();
      await leave('');
      await install(INSTALL, { HTTPS_PROXY: 'socks5h://proxy' });
      expect(await written()).toContain('CONTAINERD_HTTPS_PROXY="socks5://proxy:1080"');
      expect(await written()).toContain(',10.99.0.0/16,fd01::/48,10.43.0.0/16,');
    });
  });

  test('refuses a new port of the agent that somebody holds', async () => {
    await install();
    const listening = 'h\n0: 0100007F:2382 0:0 0A 0:0 0:0 0 0 0 4711\n'; // 9090
    await machine.files.writeAtomic('/proc/net/tcp', listening, { mode: 0o644 });
    expect(errorOf(await install([...INSTALL, '--port', '9090']))).toMatchObject({
      exitCode: 4,
      code: 'PORT_IN_USE',
    });
  });
});

describe('join', () => {
  test('tells k3s about its node, and refuses another version of k3s', async () => {
    const env = { PIPEOPS_K3S_MIRROR: MIRROR };
    const words = ['join', '--token', joinToken(), '--json'];
    const ran = await machine.run([...words, ...NODE_FLAGS], { env });
    expect(JSON.parse(ran.stdout)).toMatchObject({ node: 'web-1' });
    expect(await k3sConfig()).toEqual({
      ...SECCOMP,
      server: 'https://10.0.0.1:6443',
      'token-file': '/var/lib/pipeops-agent-host/k3s-join-token',
      ...NODE_CONFIG,
    });
    const other = await machine.run([...words, '--k3s-version', 'v1.37.0+k3s1'], { env });
    expect(errorOf(other)).toMatchObject({ exitCode: 4, code: 'SETTING_FIXED' });
  });

  test('makes a worker of a machine by the token alone', async () => {
    const ran = await machine.run(['join', '--token', '-', '--json'], {
      env: { PIPEOPS_K3S_MIRROR: MIRROR },
      stdin: joinToken(),
    });
    expect(ran.exitCode).toBe(0);
    expect(JSON.parse(ran.stdout)).toMatchObject({ role: 'agent', ports: [10250, 8080] });
    const config = await machine.files.readText('/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml');
    expect(Bun.YAML.parse(config ?? '')).toEqual({
      ...SECCOMP,
      server: 'https://10.0.0.1:6443',
      'token-file': '/var/lib/pipeops-agent-host/k3s-join-token',
    });
    expect(
      Bun.YAML.parse((await machine.files.readText('/etc/pipeops-agent/config.yaml')) ?? ''),
    ).toEqual({ agent: { role: 'node' }, k3s: { mirror: MIRROR } });
    expect(await machine.files.stat('/etc/pipeops-agent/kubeconfig')).toBeUndefined();
  });

  test('tells the agent its server by the authority that k3s has once its node is ready', async () => {
    machine.web.set('http://127.0.0.1:10248/healthz', async () => {
      await machine.put('/var/lib/rancher/k3s/agent/server-ca.crt', CLUSTER_CA);
      return new Response('ok');
    });
    await machine.run(['join', '--token', joinToken(), '--json'], {
      env: { PIPEOPS_K3S_MIRROR: MIRROR },
    });
    expect(await machine.json('/etc/pipeops-agent/server.json')).toEqual({
      ...{ v: 1, url: 'https://10.0.0.1:6443', ca: CLUSTER_CA },
    });
  });

  test('warns of a token in the arguments, reads it from a file, asks a person', async () => {
    const env = { PIPEOPS_K3S_MIRROR: MIRROR };
    const inArguments = await machine.run(['join', '--token', joinToken(), '--dry-run'], { env });
    expect(inArguments.stderr).toContain('warning');
    await machine.files.writeAtomic('/root/join', joinToken(), { mode: 0o600 });
    const words = ['join', '--token-file', '/root/join', '--dry-run'];
    expect((await machine.run(words, { env })).exitCode).toBe(0);
    const asked = await machine.run(['join', '--dry-run'], { env, secret: joinToken() });
    expect(asked.exitCode).toBe(0);
  });

  test('refuses a token that is absent, mangled or over, and servers that do not answer', async () => {
    const refused = async (words: readonly string[]) => {
      const { exitCode, code } = errorOf(await machine.run(['join', ...words, '--json']));
      return [exitCode, code];
    };
    const expired = joinToken({ expires: '2020-01-01T00:00:00.000Z' });
    const away = joinToken({ servers: ['https://10.9.9.9:6443'] });
    expect([
      await refused([]),
      await refused(['--token-file', '/root/absent']),
      await refused(['--token', joinToken().replace('.', '.x')]),
      await refused(['--token', expired]),
      await refused(['--token', away]),
    ]).toEqual([
      [2, 'USAGE'],
      [2, 'USAGE'],
      [2, 'JOIN_TOKEN_INVALID'],
      [5, 'JOIN_TOKEN_EXPIRED'],
      [6, 'SERVER_UNREACHABLE'],
    ]);
  });

  const join = (options: Parameters<typeof joinToken>[0] = {}, clock?: Clock) =>
    machine.run(['join', '--token', joinToken(options), '--json'], {
      env: { PIPEOPS_K3S_MIRROR: MIRROR },
      ...(clock === undefined ? {} : { clock }),
    });
  /** What k3s says at this start alone, and what its unit had in the journal before. */
  const journals = (thisStart: string, unit: string) =>
    machine.programs.set('journalctl', (argv) => ({
      stdout: argv.includes('--after-cursor=now') ? thisStart : `${unit}\n-- cursor: now`,
    }));
  const REFUSED = 'level=error msg="https://10.0.0.1:6443/v1-k3s/config: 401 Unauthorized"';

  test('says that the token was rejected when the server does so', async () => {
    machine.web.delete('http://127.0.0.1:10248/healthz');
    journals(REFUSED, '');
    const ran = await join({}, scaledClock(20));
    expect(errorOf(ran)).toMatchObject({ exitCode: 5, code: 'JOIN_TOKEN_REJECTED' });
  });

  test('finds the kubelet of a node of IPv6 on the loopback of IPv6', async () => {
    machine.web.delete('http://127.0.0.1:10248/healthz');
    machine.web.set('http://[::1]:10248/healthz', () => new Response('ok'));
    expect((await join()).exitCode).toBe(0);
  });

  test('goes on where the server refuses everybody for a moment, because it starts', async () => {
    let asked = 0;
    machine.web.set('http://127.0.0.1:10248/healthz', () => {
      asked += 1;
      return new Response('', { status: asked < 3 ? 500 : 200 });
    });
    journals(REFUSED, '');
    expect((await join()).exitCode).toBe(0);
    expect(asked).toBeGreaterThanOrEqual(3);
  });

  test('says that the name is taken when the server does so', async () => {
    machine.web.delete('http://127.0.0.1:10248/healthz');
    journals('level=error msg="403 Forbidden: Node password rejected, duplicate hostname"', '');
    expect(errorOf(await join())).toMatchObject({
      exitCode: 5,
      code: 'NODE_NAME_TAKEN',
      message: 'The cluster knows another machine by the name "node-1"',
    });
  });

  test('goes by no refusal of an earlier start', async () => {
    let asked = 0;
    machine.web.set('http://127.0.0.1:10248/healthz', () => {
      asked += 1;
      return new Response('', { status: asked < 3 ? 500 : 200 });
    });
    journals('level=info msg="Starting k3s agent"', REFUSED);
    expect((await join()).exitCode).toBe(0);
    expect(asked).toBeGreaterThanOrEqual(3);
  });

  test('starts k3s again with the new token after one that was rejected', async () => {
    const health = machine.web.get('http://127.0.0.1:10248/healthz');
    machine.web.delete('http://127.0.0.1:10248/healthz');
    journals(REFUSED, '');
    await join({}, scaledClock(20));
    machine.web.set('http://127.0.0.1:10248/healthz', health ?? (() => new Response()));
    const before = machine.calls.length;
    const other = await join({ token: `K10${'0'.repeat(64)}::fedcba.0123456789abcdef` });
    expect(changedSteps(other)).toContain('k3s-start');
    const later = machine.calls.slice(before).map(({ argv }) => argv.join(' '));
    expect(later).toContain('systemctl stop k3s-agent.service');
    expect(later).toContain('systemctl start --no-block k3s-agent.service');
  });

  test('a token that ended between the question and the start of k3s is taken back without a trace', async () => {
    const before = await machine.listing();
    machine.web.set('http://127.0.0.1:10248/healthz', async () => {
      await machine.files.remove('/var/lib/rancher/k3s/agent/client-kubelet.crt'); // It was never given one.
      return new Response('', { status: 500 });
    });
    journals(REFUSED, '');
    expect(errorOf(await join({}, scaledClock(20)))).toMatchObject({
      code: 'JOIN_TOKEN_REJECTED',
      hint: expect.stringContaining('To take it back: sudo pipeops-agent join --undo'),
    });
    expect((await machine.run(['join', '--undo', '--yes'])).exitCode).toBe(0);
    expect(await machine.listing()).toEqual(before);
  });

  test('finds a revoked token before anything is installed', async () => {
    machine.web.set('https://10.0.0.1:6443/v1-k3s/', (_, init) => {
      const given = new Headers(init?.headers).get('authorization');
      return new Response('', { status: given === 'Bearer abcdef.0123456789abcdef' ? 401 : 200 });
    });
    const before = await machine.listing();
    const token = `K10${'0'.repeat(64)}::abcdef.0123456789abcdef`;
    expect(errorOf(await join({ token }, scaledClock(20)))).toMatchObject({
      exitCode: 5,
      code: 'JOIN_TOKEN_REJECTED',
      message: 'The server does not accept the join token: it was revoked, or has ended',
    });
    expect(await machine.listing()).toEqual(before);
  });

  test('a plain refusal of a server that is up is told in less than five seconds', async () => {
    machine.web.set('https://10.0.0.1:6443/v1-k3s/', () => new Response('', { status: 401 }));
    machine.web.set('https://10.0.0.1:6443/readyz', () => new Response('', { status: 401 }));
    const clock = scaledClock(20);
    const at = clock.monotonic();
    expect(errorOf(await join({}, clock)).code).toBe('JOIN_TOKEN_REJECTED');
    expect(clock.monotonic() - at).toBeWithin(2_500, 5_000);
  });

  test('a token that only the server has heard of which made it is taken there', async () => {
    machine.web.set('https://10.0.0.2:6443/cacerts', () => new Response(CLUSTER_CA));
    machine.web.set('https://10.0.0.2:6443/v1-k3s/', () => new Response('', { status: 401 }));
    machine.web.set('https://10.0.0.2:6443/readyz', () => new Response('ok'));
    const servers = ['https://10.0.0.2:6443', 'https://10.0.0.1:6443'];
    expect((await join({ servers })).exitCode).toBe(0);
    const config = await machine.files.readText('/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml');
    expect(config).toContain('server: "https://10.0.0.1:6443"');
  });

  test('believes a refusal only when it was given three times: a server that starts refuses everybody', async () => {
    let refusals = 0;
    machine.web.set('https://10.0.0.1:6443/v1-k3s/client-ca.crt', () => {
      refusals += 1;
      return new Response('', { status: refusals < 3 ? 401 : 200 });
    });
    const ran = await join({}, scaledClock(20));
    expect({ exitCode: ran.exitCode, refusals }).toEqual({ exitCode: 0, refusals: 3 });
  });

  test('asks for the token of a worker that works no more', async () => {
    expect((await join()).exitCode).toBe(0);
    machine.web.set('https://10.0.0.1:6443/v1-k3s/', () => new Response('', { status: 401 }));
    expect(changedSteps(await join())).toEqual([]);
  });

  test('refuses a worker of another cluster', async () => {
    await join();
    const other = '-----BEGIN CERTIFICATE-----\nb3RoZXI=\n-----END CERTIFICATE-----\n';
    await machine.files.makeDirectory('/var/lib/rancher/k3s/agent', { mode: 0o755 });
    const path = '/var/lib/rancher/k3s/agent/server-ca.crt';
    await machine.files.writeAtomic(path, other, { mode: 0o644 });
    expect(errorOf(await join())).toMatchObject({ exitCode: 4, code: 'CLUSTER_EXISTS' });
  });

  test('refuses a machine that is a server already', async () => {
    await install();
    const ran = await machine.run(['join', '--token', joinToken(), '--json']);
    expect(errorOf(ran)).toMatchObject({ exitCode: 4, code: 'CLUSTER_EXISTS' });
  });

  test('works by the variables that users of k3s know', async () => {
    const env = {
      NODE_TYPE: 'agent',
      K3S_URL: 'https://10.0.0.1:6443',
      K3S_TOKEN: 'K10secret::node:password',
      PIPEOPS_K3S_MIRROR: MIRROR,
    };
    const ran = await machine.run(['install', '--json'], { env });
    expect(JSON.parse(ran.stdout)).toMatchObject({ role: 'agent' });
    expect(machine.calls.find(({ argv }) => argv[0] === 'sh')?.env?.['K3S_TOKEN']).toBeUndefined();
    const incomplete = await machine.run(['install', '--json'], { env: { NODE_TYPE: 'agent' } });
    expect(errorOf(incomplete)).toMatchObject({ exitCode: 2, code: 'USAGE' });
  });
});

describe('another version', () => {
  const LINK = '/usr/local/bin/pipeops-agent';
  const VERSIONS = '/opt/pipeops-agent';
  const program = (version: string) => `${VERSIONS}/${version}/pipeops-agent`;
  const own = program(BUILD.version);

  /** As an older agent has left this machine: its program is linked, its daemon runs. */
  async function older(...versions: readonly string[]): Promise<string> {
    for (const version of versions) {
      await machine.files.makeDirectory(`${VERSIONS}/${version}`, { mode: 0o755 });
      await machine.files.writeAtomic(program(version), version, { mode: 0o755 });
    }
    const last = program(versions.at(-1) ?? '');
    await machine.files.link(last, LINK);
    await machine.files.writeAtomic('/var/lib/pipeops-agent-host/applied', 'older', {
      mode: 0o600,
    });
    return last;
  }

  beforeEach(async () => {
    const words = ['join', '--token', '-', '--json'];
    await machine.run(words, { env: { PIPEOPS_K3S_MIRROR: MIRROR }, stdin: joinToken() });
  });

  test('the one line upgrades the agent of a worker and leaves its role and k3s alone', async () => {
    await older('0.0.1');
    const before = machine.calls.length;
    const ran = await install();
    expect({ exitCode: ran.exitCode, changed: changedSteps(ran) }).toEqual({
      exitCode: 0,
      changed: ['switch-executable', 'start-agent'],
    });
    expect(JSON.parse(ran.stdout)).toMatchObject({ role: 'agent', control_plane: null });
    expect(ran.stderr).toContain('This machine is a worker and stays one');
    expect(await machine.files.readLink(LINK)).toBe(own);
    expect(
      Bun.YAML.parse((await machine.files.readText('/etc/pipeops-agent/config.yaml')) ?? ''),
    ).toEqual({ agent: { role: 'node' }, k3s: { mirror: MIRROR } });
    const started = machine.calls.slice(before).map(({ argv }) => argv.join(' '));
    expect(started.filter((line) => /systemctl (stop|start|restart).*k3s/.test(line))).toEqual([]);
    expect(changedSteps(await install())).toEqual([]);
  });

  test('keeps this version and the one before', async () => {
    await older('0.0.1', '0.0.9', '0.0.2');
    await machine.files.makeDirectory(`${VERSIONS}/.download.abc`, { mode: 0o700 });
    expect(changedSteps(await install())).toContain('prune-versions');
    expect(await machine.files.list(VERSIONS)).toEqual(
      ['.download.abc', '0.0.2', BUILD.version].sort(),
    );
  });

  test.each([
    [['nightly', '2026-11-29', '0.0.9'], '0.0.9'],
    [['0.0.9', 'nightly-9', 'nightly-10'], 'nightly-10'],
  ])('keeps the one before of %j, whatever they are called', async (versions, before) => {
    await older(...versions);
    expect((await install()).exitCode).toBe(0);
    expect(await machine.files.list(VERSIONS)).toEqual([before, BUILD.version].sort());
  });

  test('goes back to the version before when this one does not start', async () => {
    const before = await older('0.0.1');
    const restarted: (string | undefined)[] = [];
    machine.programs.set('systemctl', async (argv) => {
      if (argv[1] === 'restart') {
        restarted.push(await machine.files.readLink(LINK));
        return { exitCode: 1, stderr: 'it exited with 1' };
      }
      return { exitCode: 0, stdout: argv.includes('--value') ? 'active' : 'ActiveState=active' };
    });
    expect(errorOf(await install())).toMatchObject({ code: 'TOOL_FAILED' });
    expect(restarted).toEqual([own, before]);
    expect(await machine.files.readLink(LINK)).toBe(before);
  });

  test('goes back, too, when an earlier run ended between the switch and the start', async () => {
    const before = await older('0.0.1');
    const answer = (argv: readonly string[], failing: string) =>
      argv[1] === failing
        ? { exitCode: 1, stderr: 'it ended' }
        : { exitCode: 0, stdout: argv.includes('--value') ? 'active' : 'ActiveState=active' };
    machine.programs.set('systemctl', (argv) => answer(argv, 'enable'));
    expect((await install()).exitCode).not.toBe(0);
    expect(await machine.files.readLink(LINK)).toBe(own);
    machine.programs.set('systemctl', (argv) => answer(argv, 'restart'));
    expect((await install()).exitCode).not.toBe(0);
    expect(await machine.files.readLink(LINK)).toBe(before);
  });

  test('leaves the link alone when it refuses', async () => {
    const before = await older('0.0.1');
    await machine.files.writeAtomic('/root/token', 'two words\n', { mode: 0o600 });
    expect(errorOf(await install())).toMatchObject({ code: 'TOKEN_INVALID' });
    expect(await machine.files.readLink(LINK)).toBe(before);
    const server = await machine.run(INSTALL, { env: { ...INSTALL_ENV, NODE_TYPE: 'server' } });
    expect(server.exitCode).not.toBe(0);
    expect(await machine.files.readLink(LINK)).toBe(before);
  });
});

test('install on a worker that never finished to join says how to go on', async () => {
  machine.programs.set('sh', () => ({ exitCode: 1, stderr: 'broken' }));
  const words = ['join', '--token', joinToken(), '--json'];
  await machine.run(words, { env: { PIPEOPS_K3S_MIRROR: MIRROR } });
  expect(errorOf(await install())).toMatchObject({
    exitCode: 4,
    code: 'CLUSTER_EXISTS',
    hint: expect.stringContaining('sudo pipeops-agent join --token-file FILE'),
  });
});

describe('token', () => {
  test('create gives a token with servers, CA and end; list and revoke know it', async () => {
    await install();
    const created = JSON.parse((await machine.run(['token', 'create', '--json'])).stdout);
    expect(decodeJoinToken(created.token)).toEqual({
      v: 1,
      servers: ['https://10.0.0.1:6443'],
      ca: CLUSTER_CA,
      token: `K10${'0'.repeat(64)}::abcdef.0123456789abcdef`,
      role: 'agent',
      expires: created.expires,
      k3s: expect.stringMatching(/^v1\.\d+\.\d+\+k3s1$/),
    });
    const listed = await machine.run(['token', 'list', '--json']);
    expect(JSON.parse(listed.stdout)).toEqual({
      tokens: [
        {
          ...{ id: 'abcdef', description: 'pipeops-agent', expires: '2099-01-01T00:00:00Z' },
          ...{ role: 'agent', uses: 1, node: null, from: [], used_by: [] },
        },
      ],
    });
    expect((await machine.run(['token', 'list'])).stdout).toContain('abcdef');
    expect((await machine.run(['token', 'revoke', 'abcdef'])).exitCode).toBe(0);
    const deleted = await machine.run(['token', 'delete', 'abcdef', '--json']);
    expect(JSON.parse(deleted.stdout)).toEqual({ deleted: 'abcdef' });
    expect((await machine.run(['token', 'revoke', 'zzzzzz'])).stderr).toContain('[NOT_FOUND]');
    expect((await machine.run(['token', 'create', '--ttl', '2h'])).stderr).toContain('2h');
  });

  test('create names the fixed address of the servers first', async () => {
    await install([...INSTALL, '--server-address', 'k8s.example.com']);
    const created = JSON.parse((await machine.run(['token', 'create', '--json'])).stdout);
    const servers = ['https://k8s.example.com:6443', 'https://10.0.0.1:6443'];
    expect([created.servers, decodeJoinToken(created.token).servers]).toEqual([servers, servers]);
  });

  test('create has room for a cluster with a chain of three long CA certificates', async () => {
    await install();
    const { chain } = await makeChain(3);
    const path = '/var/lib/rancher/k3s/server/tls/server-ca.crt';
    await machine.files.writeAtomic(path, chain.join(''), { mode: 0o600 });
    const created = JSON.parse((await machine.run(['token', 'create', '--json'])).stdout);
    const { ca } = decodeJoinToken(created.token);
    expect(ca).toBe(chain.at(-1) ?? '');
    // A worker that has the whole chain from its server is in the same cluster.
    await using worker = await simulatedMachine();
    await worker.files.makeDirectory('/var/lib/rancher/k3s/agent', { mode: 0o755 });
    await worker.files.writeAtomic('/var/lib/rancher/k3s/agent/server-ca.crt', chain.join(''), {
      mode: 0o644,
    });
    await worker.files.writeAtomic('/root/join', created.token, { mode: 0o600 });
    const joined = await worker.run(['join', '--token-file', '/root/join', '--json'], {
      env: INSTALL_ENV,
    });
    expect(joined.exitCode).toBe(0);
  });

  test('create notes what a token is bound to, and lets the agent delete this one Secret', async () => {
    await install();
    const bound = ['--node-name', 'rack2-*', '--from', '10.0.0.0/8', '--uses', '3'];
    const ran = await machine.run(['token', 'create', ...bound, '--json']);
    const created = JSON.parse(ran.stdout);
    expect(decodeJoinToken(created.token)).toMatchObject({ node: 'rack2-*', from: ['10.0.0.0/8'] });
    const { stdin } = machine.calls.find(({ argv }) => argv[3] === '--filename=-') ?? {};
    const { items } = JSON.parse(stdin ?? '') as { items: Record<string, unknown>[] };
    const metadata = {
      name: 'pipeops-agent-join-abcdef',
      namespace: 'kube-system',
      labels: {
        'app.kubernetes.io/managed-by': 'pipeops-agent',
        'pipeops.io/join-token': 'abcdef',
      },
      ownerReferences: [
        { apiVersion: 'v1', kind: 'Secret', name: 'bootstrap-token-abcdef', uid: 'secret-1' },
      ],
    };
    const { limits } = (items[0]?.['data'] ?? {}) as { limits: string };
    expect(JSON.parse(limits)).toEqual({
      ...{ v: 1, uses: 3, node: 'rack2-*', from: ['10.0.0.0/8'], created: expect.any(String) },
    });
    expect(items).toEqual([
      { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { limits } },
      {
        ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata },
        rules: [
          {
            apiGroups: [''],
            resources: ['secrets'],
            resourceNames: ['bootstrap-token-abcdef'],
            verbs: ['delete'],
          },
        ],
      },
      {
        ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata },
        roleRef: {
          apiGroup: 'rbac.authorization.k8s.io',
          kind: 'Role',
          name: 'pipeops-agent-join-abcdef',
        },
        subjects: [{ kind: 'ServiceAccount', name: 'pipeops-agent', namespace: 'pipeops-system' }],
      },
    ]);
    // The admission policy asks for it.
    const labelled = machine.calls.find(({ argv }) => argv[2] === 'label');
    expect(labelled?.argv.slice(3)).toEqual([
      ...['secret', 'bootstrap-token-abcdef', 'pipeops.io/join-token=abcdef'],
      ...['--namespace=kube-system', '--overwrite', '--output=json'],
    ]);
  });

  test('create leaves no token behind that it could not bind', async () => {
    await install();
    machine.programs.set('/usr/local/bin/k3s', (argv) => {
      const line = argv.slice(1).join(' ');
      return line.startsWith('kubectl create')
        ? { exitCode: 1, stderr: 'Error from server: the disk is full\n' }
        : line.startsWith('token delete')
          ? {}
          : line.startsWith('token create')
            ? { stdout: `K10${'0'.repeat(64)}::abcdef.0123456789abcdef\n` }
            : line === '--version'
              ? { stdout: 'k3s version v1.34.4+k3s1' }
              : { stdout: '{"items":[],"metadata":{"name":"x","uid":"secret-1"}}' };
    });
    const ran = await machine.run(['token', 'create', '--json']);
    expect(errorOf(ran)).toMatchObject({
      code: 'KUBERNETES_API',
      message: 'Cannot note what the token is bound to: the disk is full',
    });
    expect(machine.calls.at(-1)?.argv.slice(1)).toEqual(['token', 'delete', 'abcdef']);
  });

  test('create prints the one line, from where this server was installed', async () => {
    await install(INSTALL, { PIPEOPS_BASE_URL: 'https://mirror.test/agent/' });
    const created = JSON.parse((await machine.run(['token', 'create', '--json'])).stdout);
    expect(created.line).toBe(
      `printf '%s\\n' ${created.token} | sudo sh -c 'umask 077 && cat >/root/join-token' && ` +
        'curl -fsSL https://mirror.test/agent/install.sh | ' +
        `sudo PIPEOPS_BASE_URL=https://mirror.test/agent PIPEOPS_K3S_MIRROR=${MIRROR} ` +
        'sh -s -- join --token-file /root/join-token',
    );
    const shown = await machine.run(['token', 'create']);
    expect(shown.stderr).toContain('https://mirror.test/agent/install.sh | sudo PIPEOPS_BASE_URL=');
  });

  test('create --serve offers all that is needed, in a unit that can do nothing else', async () => {
    await install();
    let offer: Record<string, unknown> = {};
    machine.programs.set('systemd-run', async (argv) => {
      const credential = argv.find((word) => word.startsWith('--property=LoadCredential=offer:'));
      const file = credential?.slice('--property=LoadCredential=offer:'.length) ?? '';
      offer = JSON.parse((await machine.files.readText(file)) ?? '{}');
      expect((await machine.files.stat(file))?.mode).toBe(0o600);
      return {};
    });
    machine.web.set('https://10.0.0.1:8555/', () => new Response('1.2.3\n'));
    const ran = await machine.run(['token', 'create', '--serve', '--serve-port', '8555', '--json']);
    const created = JSON.parse(ran.stdout);
    expect(created.serve).toEqual({
      address: 'https://10.0.0.1:8555',
      unit: 'pipeops-agent-offer-abcdef.service',
    });
    const [, putting, pin, path] =
      /^(printf .* && )script=\$\(curl -fsSLk --noproxy '\*' --pinnedpubkey (sha256\/\/\S{44}) https:\/\/10\.0\.0\.1:8555\/([0-9a-f]{40})\/install\.sh\) && if .* grep -q \^[0-9a-f]{64}; then .* sudo sh -s -- join --token-file \/root\/join-token; else .*$/.exec(
        created.line,
      ) ?? [];
    expect(putting).toContain(created.token);
    const { publicKey } = new X509Certificate(String(offer['certificate']));
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    expect(pin).toBe(`sha256//${new Bun.CryptoHasher('sha256').update(spki).digest('base64')}`);
    expect(offer).toMatchObject({
      ...{ hostname: '10.0.0.1', port: 8555, path, server: 'https://10.0.0.1:6443' },
      k3s: { installer: expect.stringContaining('the installer of k3s'), programName: 'k3s' },
    });
    // The secret of the token is in no argument, and its file is gone.
    const { argv = [] } = machine.calls.find(({ argv }) => argv[0] === 'systemd-run') ?? {};
    expect(argv.join(' ')).not.toContain('0123456789abcdef');
    expect(argv).toContain('--property=DynamicUser=yes');
    expect(argv.slice(-2)).toEqual(['token', 'serve']);
    const left = Object.keys(await machine.listing()).filter((each) => each.includes('offer'));
    expect(left).toEqual([]);
  });

  test('create --serve leaves no token behind where it cannot offer', async () => {
    await install();
    machine.programs.set('systemd-run', () => ({ exitCode: 1, stderr: 'Unknown assignment\n' }));
    expect(errorOf(await machine.run(['token', 'create', '--serve', '--json']))).toMatchObject({
      code: 'TOOL_FAILED',
      message: 'systemd-run failed: Unknown assignment',
    });
    expect(machine.calls.at(-1)?.argv.slice(1)).toEqual(['token', 'delete', 'abcdef']);
  });

  test.each([
    [['--serve', '--serve-port', '0']],
    [['--serve-port', '8555']],
    [['--uses', '-1']],
    [['--uses', '1001']],
    [['--node-name', 'Rack 2']],
    [['--from', 'rack2']],
    [['--from', '10.0.0.0/33']],
  ])('create refuses %j before it makes anything', async (flags) => {
    await install();
    expect(errorOf(await machine.run(['token', 'create', ...flags, '--json']))).toMatchObject({
      ...{ exitCode: 2, code: 'USAGE' },
    });
    expect(machine.calls.some(({ argv }) => argv[1] === 'token')).toBe(false);
  });

  test('create says the id, and list what a token was made for', async () => {
    await install();
    const created = await machine.run(['token', 'create', '--description', ' rack 2 ']);
    expect(created.stderr).toContain('Its id is abcdef.');
    const call = machine.calls.find(({ argv }) => argv[1] === 'token');
    expect(call?.argv).toContain('--description=rack 2');
    expect((await machine.run(['token', 'list'])).stdout).toBe(
      'ID      ROLE    ENDS                  USES    BOUND TO  FOR\n' +
        'abcdef  worker  2099-01-01T00:00:00Z  0 of 1  -         pipeops-agent\n',
    );
    for (const description of ['two\nlines', '\u001b[31m', 'x'.repeat(201)]) {
      const ran = await machine.run(['token', 'create', '--description', description, '--json']);
      expect(errorOf(ran)).toMatchObject({ exitCode: 2, code: 'USAGE' });
    }
  });

  test('refuses a time or a role that does not fit, and a machine that is no server', async () => {
    for (const words of [
      ['--ttl', '5'],
      ['--ttl', '30d'],
      ['--role', 'king'],
    ]) {
      const ran = await machine.run(['token', 'create', ...words, '--json']);
      expect(errorOf(ran)).toMatchObject({ exitCode: 2, code: 'USAGE' });
    }
    for (const words of [['token', 'create'], ['token', 'list'], ['cluster-info']]) {
      const ran = await machine.run([...words, '--json']);
      expect(errorOf(ran)).toMatchObject({ exitCode: 4, code: 'NOT_A_SERVER' });
    }
  });

  test('says that Kubernetes does not answer', async () => {
    await install();
    machine.programs.set('/usr/local/bin/k3s', () => ({ exitCode: 1, stderr: 'refused' }));
    const ran = await machine.run(['token', 'list', '--json']);
    expect(errorOf(ran)).toMatchObject({ exitCode: 8, code: 'KUBERNETES_API' });
  });
});

test('cluster-info shows servers, version and nodes', async () => {
  await install();
  expect(JSON.parse((await machine.run(['cluster-info', '--json'])).stdout)).toEqual({
    servers: ['https://10.0.0.1:6443'],
    cloud: null,
    k3s_version: 'v1.36.3+k3s1',
    nodes: [
      {
        name: 'node-1',
        ready: true,
        role: 'server',
        address: '10.0.0.1',
        version: 'v1.36.3+k3s1',
        architecture: 'amd64',
      },
      {
        name: 'node-2',
        ready: false,
        role: 'worker',
        address: null,
        version: 'v1.36.3+k3s1',
        architecture: 'arm64',
      },
    ],
  });
  await machine.files.makeDirectory('/sys/class/dmi/id', { mode: 0o755 });
  await machine.files.writeAtomic('/sys/class/dmi/id/sys_vendor', 'Hetzner\n', { mode: 0o444 });
  const service = 'http://169.254.169.254/hetzner/v1/metadata';
  machine.web.set(`${service}/region`, () => new Response('eu-central'));
  machine.web.set(`${service}/public-ipv4`, () => new Response('203.0.113.10'));
  expect(JSON.parse((await machine.run(['cluster-info', '--json'])).stdout).cloud).toEqual({
    ...{ provider: 'hetzner', region: 'eu-central', zone: null, instance_id: null },
    ...{ instance_type: null, public_address: '203.0.113.10' },
  });
  expect((await machine.run(['cluster-info'])).stdout).toMatch(
    /Cloud +hetzner, eu-central, 203\.0\.113\.10/,
  );
  expect((await machine.run(['cluster-info'])).stdout).toContain('Node node-2');
});

describe('uninstall', () => {
  test('leaves the machine as it was before install', async () => {
    const before = await machine.listing();
    await install();
    const ran = await machine.run(['uninstall', '--yes', '--json']);
    expect(ran.exitCode).toBe(0);
    expect(await machine.listing()).toEqual(before);
    expect([machine.units.size, machine.enabled.has('pipeops-agent.service')]).toEqual([0, false]);
  });

  test('tells the daemon, while it is stopped and only then, that it is for good', async () => {
    await install();
    const LEAVING = '/etc/pipeops-agent/leaving';
    const isThere = async () => (await machine.files.stat(LEAVING)) !== undefined;
    const seen: [string, boolean][] = [];
    machine.programs.set('systemctl', async (argv) => {
      seen.push([argv[1] ?? '', await isThere()]);
      return argv[1] === 'disable' ? { exitCode: 1, stderr: 'busy' } : {};
    });
    expect((await machine.run(['uninstall', '--yes'])).exitCode).not.toBe(0);
    expect(await isThere()).toBe(false);
    machine.programs.delete('systemctl');
    expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
    expect(seen).toEqual([['disable', true]]);
  });

  test('that was killed on its way leaves no goodbye behind for the next installation', async () => {
    const LEAVING = '/etc/pipeops-agent/leaving';
    await install();
    await machine.files.writeAtomic(LEAVING, '', { mode: 0o644 });
    machine.units.set('pipeops-agent.service', 'inactive');
    await install();
    expect(await machine.files.stat(LEAVING)).toBeUndefined();
  });

  const PASSWORD = '/etc/rancher/node/password';

  /** A worker, with the password that k3s makes at its first start. */
  async function worker(): Promise<void> {
    const env = { PIPEOPS_K3S_MIRROR: MIRROR };
    await machine.run(['join', '--token', '-'], { env, stdin: joinToken() });
    await machine.files.makeDirectory('/etc/rancher/node', { mode: 0o755 });
    await machine.files.writeAtomic(PASSWORD, '0123456789abcdef\n', { mode: 0o600 });
  }

  test('leaves of a worker only what it needs to come back, and says so', async () => {
    const before = await machine.listing();
    await worker();
    const ran = await machine.run(['uninstall', '--yes']);
    expect(ran.stderr).toContain(`Kept: ${PASSWORD}`);
    expect(ran.stderr).toContain('sudo k3s kubectl delete node node-1');
    expect(await machine.listing()).toEqual({ ...before, [PASSWORD]: '0123456789abcdef\n' });
  });

  test('leaves nothing of a worker with --delete-data, also not of an earlier time', async () => {
    const before = await machine.listing();
    await worker();
    await machine.run(['uninstall', '--yes']);
    await worker();
    const ran = await machine.run(['uninstall', '--yes', '--delete-data', '--json']);
    expect(JSON.parse(ran.stdout)).toMatchObject({ kept: [], listed_node: 'node-1' });
    expect(await machine.listing()).toEqual(before);
    expect(await machine.files.stat('/etc/rancher')).toBeUndefined();
  });

  test('names the workers that hang on a server, before and after', async () => {
    await install();
    const ran = await machine.run(['uninstall', '--yes']);
    expect(ran.stderr).toContain('These workers hang on this server: node-2');
    expect(ran.stderr).toContain('These workers have lost their cluster: node-2');
    const both = await machine.run(['uninstall', '--keep-data', '--delete-data', '--json']);
    expect(errorOf(both).exitCode).not.toBe(0);
  });

  test('keeps k3s, and the data, when told so', async () => {
    await install();
    const ran = await machine.run(['uninstall', '--yes', '--keep-k3s', '--keep-data']);
    expect(ran.exitCode).toBe(0);
    const left = Object.keys(await machine.listing());
    expect(left).toContain('/usr/local/bin/k3s');
    expect(left).toContain('/var/lib/pipeops-agent/credentials/control-plane-token');
    expect(left).not.toContain('/cluster/account');
    expect(left).not.toContain('/etc/pipeops-agent/config.yaml');
    expect(machine.units.get('k3s.service')).toBe('active');
  });

  test('asks, and does nothing when the answer is no', async () => {
    await install();
    const before = await machine.listing();
    const refused = await machine.run(['uninstall', '--json'], { confirm: false });
    expect(errorOf(refused)).toMatchObject({ exitCode: 2, code: 'USAGE' });
    expect(await machine.listing()).toEqual(before);
    expect((await machine.run(['uninstall'], { confirm: true })).exitCode).toBe(0);
  });

  test('goes on after a failure', async () => {
    await install();
    await leaveBridge();
    const failed = await machine.run(['uninstall', '--yes', '--json']);
    expect(errorOf(failed)).toMatchObject({
      exitCode: 7,
      code: 'TOOL_FAILED',
      message: 'ip link delete cni0 failed: busy',
    });
    await letBridgeGo();
    expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
    expect(await machine.files.stat('/var/lib/pipeops-agent-host')).toBeUndefined();
  });

  test('refuses a link where a directory was made', async () => {
    await install();
    await machine.files.removeTree('/etc/pipeops-agent');
    await machine.files.link('/root', '/etc/pipeops-agent');
    const ran = await machine.run(['uninstall', '--yes', '--json']);
    expect(errorOf(ran)).toMatchObject({ code: 'FILE_ACCESS' });
    expect(await machine.files.readText('/root/agent')).toBe('the executable');
  });

  test.each([
    ['', []],
    [' and leaves data', ['--keep-data']],
  ])('follows no link that the daemon made%s', async (_, flags) => {
    await install(INSTALL, { HTTPS_PROXY: 'http://user:password@proxy.example:3128' });
    const home = '/home/x';
    await machine.files.makeDirectory(home, { mode: 0o700 });
    const state = '/var/lib/pipeops-agent';
    const owned = ['control-plane-token', 'proxy', 'other'];
    for (const name of owned) {
      await machine.files.writeAtomic(`${home}/${name}`, 'precious', { mode: 0o600 });
    }
    await machine.files.removeTree(`${state}/credentials`);
    await machine.files.link(`../../..${home}`, `${state}/credentials`);
    await machine.files.makeDirectory(`${state}/deep/er`, { mode: 0o700 });
    await machine.files.link(`../../../../..${home}`, `${state}/deep/er/link`);
    expect(await machine.files.list(`${state}/credentials`)).toContain('proxy');

    const ran = await machine.run(['uninstall', '--yes', '--json', ...flags]);
    expect({ exitCode: ran.exitCode, left: await machine.files.list(home) }).toEqual({
      exitCode: 0,
      left: owned.toSorted(),
    });
  });

  test('removes the program that install.sh has placed for an installation that was refused', async () => {
    await machine.files.makeDirectory('/opt', { mode: 0o755 });
    await machine.files.makeDirectory('/usr/local/bin', { mode: 0o755 });
    const before = await machine.listing();
    await machine.files.makeDirectory('/opt/pipeops-agent/1.2.3', { mode: 0o755 });
    const program = '/opt/pipeops-agent/1.2.3/pipeops-agent';
    await machine.files.writeAtomic(program, 'program', { mode: 0o755 });
    await machine.files.link(program, '/usr/local/bin/pipeops-agent');
    const placed = await machine.listing();
    const planned = JSON.parse((await machine.run(['uninstall', '--dry-run', '--json'])).stdout);
    expect(planned.plan.map(({ title }: { title: string }) => title)).toEqual(
      expect.arrayContaining(['Remove link /usr/local/bin/pipeops-agent']),
    );
    expect(await machine.listing()).toEqual(placed);
    const ran = await machine.run(['uninstall', '--yes', '--json']);
    expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toMatchObject({ exitCode: 0 });
    expect(await machine.listing()).toEqual(before);
  });

  test('removes no program of an installation whose inventory was lost', async () => {
    await install();
    await machine.files.removeTree('/var/lib/pipeops-agent-host');
    const before = await machine.listing();
    const ran = await machine.run(['uninstall', '--yes', '--json']);
    expect(errorOf(ran)).toMatchObject({ code: 'NOT_INSTALLED' });
    expect(await machine.listing()).toEqual(before);
  });

  test("removes a secret from a directory that was found here as the daemon's user", async () => {
    await machine.files.makeDirectory('/var/lib/pipeops-agent', { mode: 0o700 });
    await install();
    const ran = await machine.run(['uninstall', '--yes', '--json']);
    expect(ran.exitCode).toBe(0);
    const path = '/var/lib/pipeops-agent/credentials/control-plane-token';
    const removal = `rm -f ${path} ${path}.trial`;
    expect(
      machine.calls.filter(({ argv }) => argv.at(-1)?.startsWith(`rm -f ${path}`)),
    ).toMatchObject([{ argv: ['runuser', '-u', 'pipeops-agent', '--', 'sh', '-c', removal] }]);
    expect(await machine.files.stat(path)).toBeUndefined();
    expect((await machine.files.stat('/var/lib/pipeops-agent'))?.kind).toBe('directory');
  });

  test('says that nothing was installed, or that the inventory is damaged', async () => {
    const nothing = await machine.run(['uninstall', '--yes', '--json']);
    expect(errorOf(nothing)).toMatchObject({ exitCode: 4, code: 'NOT_INSTALLED' });
    await machine.files.makeDirectory('/var/lib/pipeops-agent-host', { mode: 0o700 });
    const path = '/var/lib/pipeops-agent-host/inventory.json';
    await machine.files.writeAtomic(path, '{"v":1', { mode: 0o600 });
    const damaged = await machine.run(['uninstall', '--yes', '--json']);
    expect(errorOf(damaged)).toMatchObject({ exitCode: 4, code: 'FILE_ACCESS' });
  });
});

describe('credentials renew', () => {
  const path = '/etc/pipeops-agent/kubeconfig';

  test('mints a token when there is none, and leaves a fresh one', async () => {
    await install();
    await machine.files.remove(path);
    expect((await machine.run(['credentials', 'renew'])).exitCode).toBe(0);
    const minted = await machine.files.readText(path);
    expect(minted).toContain('token');
    expect((await machine.run(['credentials', 'renew'])).exitCode).toBe(0);
    expect(await machine.files.readText(path)).toBe(minted);
  });

  test('does nothing on a machine that is no server', async () => {
    expect(await machine.run(['credentials', 'renew'])).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: '',
    });
    expect(await machine.files.stat(path)).toBeUndefined();
  });
});

test('one subcommand that changes the machine at a time, and only as root', async () => {
  const busy = await machine.run(['uninstall', '--json'], { lockHeldBy: 'install (pid 7)' });
  expect(errorOf(busy)).toMatchObject({
    exitCode: 4,
    code: 'BUSY',
    message: 'Cannot run "uninstall" now: install (pid 7) is running',
  });
  const notRoot = await machine.run(['install', '--json'], { uid: 1000 });
  expect(errorOf(notRoot)).toMatchObject({ exitCode: 4, code: 'NOT_ROOT' });
});
