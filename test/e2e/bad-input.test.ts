/**
 * What goes wrong on a real machine: each ends with its code, its exit code and a hint, and leaves
 * the machine as it was or ready to go on.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { dirname } from 'node:path';
import { type K3sMirror, startK3sMirror } from '../vm/k3s-mirror.ts';
import type { Machine } from '../vm/machine.ts';
import { compareStates, USER_BACKUPS } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import {
  bringProgram,
  installByOneLine,
  installEnvironment,
  openStand,
  type Stand,
  TOKEN_FILE,
} from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 300_000;
const START_TIMEOUT_MS = 30_000;
const AGENT = '/root/pipeops-agent';
const K3S_DATA = '/var/lib/rancher/k3s';
const WRONG_TOKEN_FILE = '/root/wrong-token';

const progress = reportProgress('bad-input');
let stand: Stand;
let machine: Machine;
let wrongMirror: K3sMirror;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('bad-input');
  wrongMirror = await startK3sMirror({
    hostname: stand.lab.hostAddress,
    tls: stand.lab.internet,
    wrongHash: true,
  });
  machine = await boot('plain-vm', {});
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await wrongMirror?.[Symbol.asyncDispose]();
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

async function boot(name: string, smallDisks: Record<string, string>): Promise<Machine> {
  const booted = await stand.lab.boot({ name, base: 'kubernetes', smallDisks });
  await stand.equip(booted);
  await booted.writeFile(WRONG_TOKEN_FILE, 'not-the-token\n', { mode: 0o600 });
  await bringProgram(booted, AGENT);
  return booted;
}

interface Ending {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** Runs the agent as root and reads how it ended. */
async function ending(
  on: Machine,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ending> {
  const { exitCode, stdout } = await on.exec([AGENT, ...args, '--json'], {
    env: { ...installEnvironment(stand), ...env },
    timeoutMs: TEST_TIMEOUT_MS,
    check: false,
  });
  return { exitCode, ...JSON.parse(stdout).error };
}

const DROP_INS = '/etc/systemd/system/pipeops-agent.service.d';
/** Ends the agent with SIGKILL in the middle of the removal of k3s. */
const KILLED_UNDO = `#!/bin/sh
setsid ${AGENT} install --undo --yes &
while [ -e /usr/local/bin/k3s-uninstall.sh ]; do :; done
kill -s KILL -- "-$!"
wait
`;

const INSTALL = ['install', '--token-file', TOKEN_FILE];

/** The machine is the same before and after. */
async function unchanged(work: () => Promise<void>): Promise<void> {
  const before = await machine.snapshotState();
  await work();
  expect(compareStates(before, await machine.snapshotState(), [USER_BACKUPS])).toEqual([]);
}

test(
  'install refuses a wrong token and an unreachable control plane before it changes anything',
  () =>
    unchanged(async () => {
      const refused = await ending(machine, ['install', '--token-file', WRONG_TOKEN_FILE]);
      expect(refused).toMatchObject({ exitCode: 5, code: 'TOKEN_REJECTED' });
      const url = `https://${stand.lab.hostAddress}:1`;
      const unreachable = await ending(machine, INSTALL, { PIPEOPS_API_URL: url });
      expect(unreachable).toMatchObject({ exitCode: 6, code: 'CONTROL_PLANE_UNREACHABLE' });
      expect(unreachable.hint).not.toBe('');
    }),
  TEST_TIMEOUT_MS,
);

test(
  'install names the program that holds port 6443',
  async () => {
    const holder = ['socat', 'TCP-LISTEN:6443,fork,reuseaddr', 'SYSTEM:true'];
    await machine.exec(['systemd-run', '--quiet', '--unit=holder', ...holder]);
    await waitUntil('the port is taken', START_TIMEOUT_MS, async () => {
      return (await machine.exec(['ss', '-Hltn'])).stdout.includes(':6443');
    });
    const refused = await ending(machine, INSTALL);
    expect(refused).toMatchObject({ exitCode: 4, code: 'PORT_IN_USE' });
    expect(refused.message).toMatch(/6443 by socat \(pid \d+, holder\.service\)/);
    await machine.exec(['systemctl', 'stop', 'holder']);
  },
  TEST_TIMEOUT_MS,
);

test(
  'install refuses a k3s whose hash is wrong, and --undo takes back what was begun',
  () =>
    unchanged(async () => {
      const refused = await ending(machine, INSTALL, { PIPEOPS_K3S_MIRROR: wrongMirror.url });
      expect(refused).toMatchObject({ exitCode: 6, code: 'DOWNLOAD_CORRUPT' });
      expect(refused.hint).toContain('To take it back: sudo pipeops-agent install --undo');
      await machine.exec([AGENT, 'install', '--undo', '--yes']);
    }),
  TEST_TIMEOUT_MS,
);

test(
  'an installation that fails at its very end is taken back, also when that was killed on its way',
  async () => {
    // What stood there before: settings, data of an older k3s, and what keeps our unit from starting.
    await machine.writeFile(`${K3S_DATA}/server/db/snapshots/of-before`, 'a snapshot');
    await machine.writeFile('/etc/pipeops-agent/config.yaml', '# mine\nlog: {level: debug}\n');
    await machine.writeFile(`${DROP_INS}/broken.conf`, '[Service]\nExecStartPre=/bin/false\n');
    await unchanged(async () => {
      const failed = await ending(machine, INSTALL);
      expect(failed).toMatchObject({ exitCode: 7, code: 'TOOL_FAILED' });
      const state = await machine.exec(['systemctl', 'is-active', 'k3s'], { check: false });
      expect(state.stdout.trim()).toBe('active');
      await machine.writeFile('/root/killed-undo.sh', KILLED_UNDO, { mode: 0o700 });
      await machine.exec(['/root/killed-undo.sh'], { timeoutMs: TEST_TIMEOUT_MS });
      const plan = await machine.exec([AGENT, 'install', '--undo', '--dry-run']);
      expect(plan.stdout).toContain('Remove k3s (server) and what runs in it');
      await machine.exec([AGENT, 'install', '--undo', '--yes'], { timeoutMs: TEST_TIMEOUT_MS });
      await machine.exec(['rm', '/root/killed-undo.sh']);
    });
    await machine.exec(['rm', '-r', '/etc/pipeops-agent', DROP_INS, dirname(K3S_DATA)]);
  },
  TEST_TIMEOUT_MS,
);

test(
  'join refuses a mangled token before any connection',
  () =>
    unchanged(async () => {
      const refused = await ending(machine, ['join', '--token', 'pj1.bWFuZ2xlZA.00000000']);
      expect(refused).toMatchObject({ exitCode: 2, code: 'JOIN_TOKEN_INVALID' });
    }),
  TEST_TIMEOUT_MS,
);

test(
  'a second root subcommand is told which one is running',
  async () => {
    // It waits for its token on standard input, and holds the lock meanwhile.
    const waiting = `sleep 600 | ${AGENT} join --token -`;
    await machine.exec(['systemd-run', '--quiet', '--unit=first', 'sh', '-c', waiting]);
    await waitUntil('the first one has the lock', START_TIMEOUT_MS, async () => {
      return (await machine.exec(['cat', '/run/pipeops-agent.lock'])).stdout.includes('join');
    });
    const refused = await ending(machine, INSTALL);
    expect(refused).toMatchObject({ exitCode: 4, code: 'BUSY' });
    expect(refused.message).toMatch(/join \(pid \d+\)/);
    await machine.exec(['systemctl', 'stop', 'first']);
  },
  TEST_TIMEOUT_MS,
);

test(
  'somebody who is not root is told to use sudo, by the installer and by the program',
  async () => {
    const asNobody = ['setpriv', '--reuid=65534', '--clear-groups'];
    const env = { PIPEOPS_BASE_URL: stand.releases.url };
    const line = `curl -fsSL ${stand.releases.url}/install.sh | sh`;
    const installer = await machine.exec([...asNobody, 'sh', '-c', line], { env, check: false });
    expect(installer).toMatchObject({
      exitCode: 4,
      stdout: '',
      stderr: expect.stringContaining('[NOT_ROOT]'),
    });
    await machine.exec(['install', '-m', '0755', AGENT, '/tmp/pipeops-agent']);
    const program = await machine.exec([...asNobody, '/tmp/pipeops-agent', 'install'], {
      check: false,
    });
    expect(program).toMatchObject({
      exitCode: 4,
      stdout: '',
      stderr: expect.stringContaining('[NOT_ROOT]'),
    });
  },
  TEST_TIMEOUT_MS,
);

test(
  'a disk that is full stops the installer and the installation with its own code',
  async () => {
    const small = await boot('small-disk', { '/opt': '64M', '/usr/local/bin': '16M' });
    const installer = await installByOneLine(stand, small, [], { check: false });
    expect(installer).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining('[DISK_FULL]'),
    });
    expect((await small.exec(['ls', '-A', '/opt', '/usr/local/bin'])).stdout).toBe(
      '/opt:\n\n/usr/local/bin:\n',
    );
    expect(await ending(small, INSTALL)).toMatchObject({ exitCode: 4, code: 'DISK_FULL' });
    // With room for the agent but not for k3s, it is full in the middle.
    await small.exec(['umount', '/opt']);
    expect(await ending(small, INSTALL)).toMatchObject({ exitCode: 4, code: 'DISK_FULL' });
    await small.exec(['umount', '/usr/local/bin']);
    await installAmongTraces(small);
  },
  TEST_TIMEOUT_MS,
);

const K3S_SETTINGS = '/etc/rancher/k3s/config.yaml';
/** What others have left, as `stat` and the databases tell it. */
const TRACES = `
  stat -c '%a %n' /usr/local/bin ${K3S_SETTINGS}
  cat ${K3S_SETTINGS}
  getent group pipeops-agent
`;

/** A strict umask, a poor PATH, and what others have set up before: the only installation here. */
async function installAmongTraces(on: Machine): Promise<void> {
  await on.exec(['chmod', '2775', '/usr/local/bin']);
  await on.exec(['groupadd', '--gid', '4711', 'pipeops-agent']);
  await on.writeFile(K3S_SETTINGS, 'node-label: [left=behind]\ndata-dir: /mnt\n', { mode: 0o640 });
  expect(await ending(on, INSTALL)).toMatchObject({
    exitCode: 3,
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(`"data-dir" in ${K3S_SETTINGS}:2`),
  });
  await on.writeFile(K3S_SETTINGS, 'node-label: [left=behind]\n', { mode: 0o640 });
  const before = (await on.exec(['sh', '-c', TRACES])).stdout;
  const strict = ['env', 'PATH=/usr/bin:/bin', 'sh', '-c', 'umask 077; exec "$@"', 'sh'];
  const { stdout } = await on.exec([...strict, AGENT, ...INSTALL, '--json'], {
    env: installEnvironment(stand),
    timeoutMs: TEST_TIMEOUT_MS,
  });
  expect(JSON.parse(stdout)).toMatchObject({ role: 'server', node: 'small-disk' });
  const asked = ['kubectl', 'get', 'nodes', '--selector=left=behind', '--output=name'];
  expect((await on.exec(['/usr/local/bin/k3s', ...asked])).stdout.trim()).toBe('node/small-disk');
  const { stdout: modes } = await on.exec([
    'sh',
    '-c',
    'stat -c %a /opt/pipeops-agent /opt/pipeops-agent/*',
  ]);
  expect(modes).toBe('755\n755\n');
  await on.exec([AGENT, 'uninstall', '--yes'], { timeoutMs: TEST_TIMEOUT_MS });
  expect((await on.exec(['sh', '-c', TRACES])).stdout).toBe(before);
}
