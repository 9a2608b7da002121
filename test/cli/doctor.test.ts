/** `doctor` and `health-check`, before and after an installation, by what a person sees. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { systemClock } from '../../src/platform/clock.ts';
import { JOIN_TOKEN } from '../support/installation.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import {
  CONTROL_PLANE,
  MIRROR,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';
import { makeCertificates } from '../support/tls.ts';

const INOTIFY = '/proc/sys/fs/inotify/max_user_instances';
const FORWARD = '/proc/sys/net/ipv4/ip_forward';
const BRIDGE = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const SETTINGS = '/etc/sysctl.d/zz-pipeops-inotify.conf';
/** The simulated k3s makes none. */
const NO_CERTIFICATES = 'k3s-certificates not-checked';

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
  // A machine of its own, whose clock is kept.
  await machine.files.remove('/run/systemd/container');
  machine.programs.set('timedatectl', () => ({ stdout: 'NTP=yes\nNTPSynchronized=yes' }));
  machine.programs.set('sysctl', async ([, , assignment = '']) => {
    const [name = '', value = ''] = assignment.split('=');
    await put(`/proc/sys/${name.replaceAll('.', '/')}`, `${value}\n`);
    return {};
  });
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const put = async (path: string, text: string) => {
  await machine.files.makeDirectory(path.replace(/\/[^/]*$/, ''), { mode: 0o755 });
  await machine.files.writeAtomic(path, text, { mode: 0o644 });
};
const install = (...flags: readonly string[]) =>
  machine.run(['install', '--token-file', '/root/token', '--api-url', CONTROL_PLANE, ...flags], {
    env: { PIPEOPS_K3S_MIRROR: MIRROR },
  });

interface Told {
  readonly ok: boolean;
  readonly role: string;
  readonly fixed: readonly string[];
  readonly checks: readonly { readonly id: string; readonly state: string }[];
}

async function doctor(...flags: readonly string[]) {
  const { exitCode, stdout } = await machine.run(['doctor', '--json', ...flags]);
  const { ok, role, fixed, checks }: Told = JSON.parse(stdout);
  const states = checks
    .filter(({ state }) => state !== 'ok')
    .map(({ id, state }) => `${id} ${state}`);
  return { exitCode, ok, role, fixed, states };
}

test('a bare machine that is fit has nothing to be told, and nothing is changed', async () => {
  const before = await machine.listing();
  expect(await doctor()).toEqual({ exitCode: 0, ok: true, role: 'bare', fixed: [], states: [] });
  expect(await machine.listing()).toEqual(before);
});

test('a person sees one line for each check, and of a finding what, why and how', async () => {
  await put(INOTIFY, '128\n');
  await put('/proc/meminfo', 'MemTotal: 400000 kB\n');
  const { exitCode, stdout } = await machine.run(['doctor']);
  expect(exitCode).toBe(11);
  expect(stdout).toContain('\nok       Control groups\n');
  expect(stdout).toContain('\nwarning  Inotify limits\n');
  expect(stdout).toContain(`
Memory: wrong [memory]
  what  The machine has 391 MiB of memory, too little.
  why   Kubernetes itself needs memory before any workload runs; with less it is
        killed and started again.
  fix   Kubernetes needs 512 MB for a worker and 2 GB for a server.

Inotify limits: warning [inotify-limits]
  what  Too low: fs.inotify.max_user_instances is 128, not 256.
  why   All containers share them; when they are used up, pods and "kubectl logs
        -f" end with "too many open files".
  fix   Set it, now and at each start.
      sudo pipeops-agent doctor --fix

1 wrong, 1 warning, `);
  expect(Math.max(...stdout.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(80);
});

test('--fix shows what it changes, asks, mends it, and uninstall takes it back', async () => {
  await put(INOTIFY, '128\n');
  const before = await machine.listing();
  const refused = await machine.run(['doctor', '--fix'], { confirm: false });
  expect(refused).toMatchObject({ exitCode: 2 });
  expect(refused.stderr).toContain(`Raise the limits of inotify: create ${SETTINGS}; ${INOTIFY}, `);
  expect(await machine.listing()).toEqual(before);

  expect(await doctor('--fix', '--yes')).toEqual({
    ...{ exitCode: 0, ok: true, role: 'bare', fixed: ['inotify-limits'], states: [] },
  });
  expect(await machine.files.readText(INOTIFY)).toBe('1024\n');
  expect(await machine.files.readText(SETTINGS)).toBe(`\
# Made by "pipeops-agent doctor --fix". "pipeops-agent uninstall" removes it.
# before: fs.inotify.max_user_instances = 128
fs.inotify.max_user_instances = 1024
# before: fs.inotify.max_user_watches = 524288
fs.inotify.max_user_watches = 524288
`);
  expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ exitCode: 0 });
  expect(await machine.listing()).toEqual(before);
});

test('a value that somebody has changed since stays as it is', async () => {
  await put(INOTIFY, '128\n');
  await doctor('--fix', '--yes');
  await put(INOTIFY, '9999\n');
  await machine.run(['uninstall', '--yes']);
  expect(await machine.files.readText(INOTIFY)).toBe('9999\n');
});

test('an installation goes on after --fix, and a failed one is taken back with it', async () => {
  await put(INOTIFY, '128\n');
  const before = await machine.listing();
  await doctor('--fix', '--yes');
  machine.web.set(`${MIRROR}/install.sh`, () => new Response('', { status: 500 }));
  const failed = await install();
  expect(failed.stderr).toContain('To take it back: sudo pipeops-agent install --undo');
  expect(await machine.run(['install', '--undo', '--yes'])).toMatchObject({ exitCode: 0 });
  expect(await machine.listing()).toEqual(before);
});

test('install tells the warnings, and goes on', async () => {
  await put(INOTIFY, '128\n');
  const { exitCode, stderr } = await install();
  expect(stderr).toContain(
    'Too low: fs.inotify.max_user_instances is 128, not 256. Set it, now and at each start.\n    sudo pipeops-agent doctor --fix\n',
  );
  expect(exitCode).toBe(0);
});

test('an installed server is all right, until something turns forwarding off; --fix mends it', async () => {
  await put(FORWARD, '1\n');
  await put(BRIDGE, '1\n');
  await install();
  expect(await doctor()).toEqual({
    ...{ exitCode: 0, ok: true, role: 'server', fixed: [], states: [NO_CERTIFICATES] },
  });
  expect(await machine.run(['health-check'])).toMatchObject({ exitCode: 0 });

  await put(FORWARD, '0\n');
  expect(await doctor()).toMatchObject({
    exitCode: 11,
    states: ['forwarding found', NO_CERTIFICATES],
  });
  const sick = await machine.run(['health-check']);
  expect(sick).toMatchObject({ exitCode: 11 });
  expect(sick.stdout).toContain('Forwarding: wrong [forwarding]');
  expect(await doctor('--fix', '--yes')).toMatchObject({ exitCode: 0, fixed: ['forwarding'] });
  expect(await machine.run(['health-check'])).toMatchObject({ exitCode: 0 });
});

test('a worker is all right too, until its k3s fails', async () => {
  await put(FORWARD, '1\n');
  await put(BRIDGE, '1\n');
  const env = { PIPEOPS_K3S_MIRROR: MIRROR };
  expect(await machine.run(['join', '--token', JOIN_TOKEN], { env })).toMatchObject({
    exitCode: 0,
  });
  const found = ({ states }: { readonly states: readonly string[] }) =>
    states.filter((state) => state.endsWith(' found'));
  const well = await doctor();
  expect([well.exitCode, well.role, found(well)]).toEqual([0, 'worker', []]);
  machine.units.set('k3s-agent.service', 'failed');
  const sick = await doctor();
  expect([sick.exitCode, found(sick)]).toEqual([11, ['k3s found']]);
});

test('a mistake in the settings and a damaged inventory are told, and all else is looked at', async () => {
  await put(FORWARD, '1\n');
  await put(BRIDGE, '1\n');
  await install();
  await put('/etc/pipeops-agent/config.yaml', 'http: {port: none}\n');
  const { exitCode, stdout } = await machine.run(['doctor']);
  expect(exitCode).toBe(11);
  expect(stdout).toContain('Settings: wrong [settings]\n');
  expect(stdout).toContain('\nThe settings cannot be used: the usual ones are assumed.\n');
  await put('/var/lib/pipeops-agent-host/inventory.json', 'damaged');
  expect(await doctor()).toMatchObject({ exitCode: 11, role: 'server' });
});

test('health-check is no good news where nothing is installed', async () => {
  const { exitCode, stderr } = await machine.run(['health-check']);
  expect(exitCode).toBe(4);
  expect(stderr).toContain('pipeops-agent is not set up on this machine [NOT_INSTALLED]');
});

test('an agent that does not run is found', async () => {
  await put(FORWARD, '1\n');
  await put(BRIDGE, '1\n');
  await install();
  machine.units.set('pipeops-agent.service', 'inactive');
  expect(await doctor()).toMatchObject({ exitCode: 11, states: [NO_CERTIFICATES, 'agent found'] });
  expect(await machine.run(['health-check'])).toMatchObject({ exitCode: 11 });
});

test('--fix needs root and the lock of those that change the machine; --yes alone is nothing', async () => {
  expect(await machine.run(['doctor', '--fix'], { uid: 1_000 })).toMatchObject({ exitCode: 4 });
  await put(INOTIFY, '128\n');
  const busy = await machine.run(['doctor', '--fix', '--yes'], { lockHeldBy: 'install (pid 8)' });
  expect(busy.stderr).toContain('Cannot run "doctor --fix" now: install (pid 8) is running');
});

test('--fix loads a module that is not loaded, now and at each start, and uninstall forgets it', async () => {
  await put(FORWARD, '1\n');
  machine.programs.set('modprobe', async ([, name]) => {
    await (name === 'br_netfilter' ? put(BRIDGE, '1\n') : undefined);
    return {};
  });
  await install();
  expect(await doctor()).toMatchObject({
    exitCode: 11,
    states: ['bridge-netfilter found', NO_CERTIFICATES],
  });
  const file = '/etc/modules-load.d/pipeops-agent.conf';
  const refused = await machine.run(['doctor', '--fix'], { confirm: false });
  expect(refused.stderr).toStartWith(`Load the kernel modules of the network: create ${file}\n`);
  expect(await doctor('--fix', '--yes')).toMatchObject({ exitCode: 0, fixed: ['kernel-modules'] });
  expect(await machine.files.readText(file)).toEndWith('\nbr_netfilter\noverlay\n');
  await machine.run(['uninstall', '--yes']);
  expect(await machine.files.stat(file)).toBeUndefined();
});

test('what cannot be set is an error that leaves no file behind', async () => {
  await put(INOTIFY, '128\n');
  machine.programs.set('sysctl', () => ({ exitCode: 1, stderr: 'permission denied' }));
  const { exitCode, stderr } = await machine.run(['doctor', '--fix', '--yes']);
  expect(exitCode).toBe(7);
  expect(stderr).toContain('fs.inotify.max_user_instances=1024 failed: permission denied');
  expect(await machine.files.stat(SETTINGS)).toBeUndefined();
});

test('--fix says so where there is nothing that it can mend', async () => {
  const { exitCode, stderr } = await machine.run(['doctor', '--fix', '--yes']);
  expect([exitCode, stderr]).toEqual([
    0,
    'There is nothing that can be mended safely from here.\n',
  ]);
});

/** ufw that is on and lets people in, as far as it is asked here. */
function ufw(added: Set<string>) {
  machine.programs.set('ufw', ([, ...words]) => {
    const line = words.join(' ');
    if (line === 'status verbose') {
      const rows = [...added].map((rule) => `Anywhere  ALLOW IN  ${rule.split(' ')[2]}`);
      const open = ['22', '6443', '10250', '8472'].map((port) => `${port}  ALLOW IN  Anywhere`);
      return { stdout: ['Status: active', ...open, ...rows, ''].join('\n') };
    }
    if (line === 'show added') {
      return { stdout: [...added].map((rule) => `ufw ${rule}\n`).join('') };
    }
    if (words[0] === '--force') {
      added.delete(words.slice(2).join(' '));
    } else {
      added.add(line);
    }
    return {};
  });
}

const PODS = 'allow from 10.42.0.0/16';
const SERVICES = 'allow from 10.43.0.0/16';

test('--fix opens a firewall by the rules it has shown, and uninstall takes back only those', async () => {
  const added = new Set([SERVICES]);
  ufw(added);
  const before = await machine.listing();
  const refused = await machine.run(['doctor', '--fix'], { confirm: false });
  expect(refused.stderr).toStartWith(`Open the firewall for this node: create ufw ${PODS}\n`);
  expect([...added]).toEqual([SERVICES]);
  expect(await doctor('--fix', '--yes')).toEqual({
    ...{ exitCode: 0, ok: true, role: 'bare', fixed: ['firewall-rules'], states: [] },
  });
  expect([...added]).toEqual([SERVICES, PODS]);
  const planned = await machine.run(['uninstall', '--dry-run']);
  expect(planned.stdout).toContain(`Close the firewall again: ufw ${PODS}`);
  expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ exitCode: 0 });
  expect([...added]).toEqual([SERVICES]);
  expect(await machine.listing()).toEqual(before);
});

test('install opens the firewall when it is told to, and only then', async () => {
  const added = new Set<string>();
  ufw(added);
  const told = await install();
  expect(told.stderr).toContain('ufw keeps out packets from 10.42.0.0/16');
  expect(added.size).toBe(0);
  const opened = await install('--open-firewall');
  expect(opened).toMatchObject({ exitCode: 0, stderr: expect.not.stringContaining('keeps out') });
  expect([...added]).toEqual([PODS, SERVICES]);
  expect(await install('--open-firewall')).toMatchObject({ exitCode: 0 });
  await machine.run(['uninstall', '--yes']);
  expect(added.size).toBe(0);
});

/** firewalld that lets nodes in but nothing of pods, as far as it is asked here. */
function firewalld(sources: { readonly now: Set<string>; readonly lasting: Set<string> }) {
  machine.programs.set('firewall-cmd', ([, ...words]) => {
    const [, action, value = ''] =
      /^--(query|add|remove)-source=(.+)$/.exec(words.at(-1) ?? '') ?? [];
    const of = words.includes('--permanent') ? sources.lasting : sources.now;
    switch (action) {
      case 'query':
        return { exitCode: of.has(value) ? 0 : 1 };
      case 'add':
        of.add(value);
        return {};
      case 'remove':
        of.delete(value);
        return {};
      default:
        return {
          stdout: words.includes('--get-default-zone')
            ? 'public\n'
            : `public\n  ports: 6443/tcp 10250/tcp 8472/udp\n\ntrusted\n  target: ACCEPT\n  sources: ${[...sources.now].join(' ')}\n`,
        };
    }
  });
}

test('what a person told firewalld for now only, or for later only, stays theirs', async () => {
  const [pods, services] = ['10.42.0.0/16', '10.43.0.0/16'];
  const sources = { now: new Set([pods]), lasting: new Set([services]) };
  firewalld(sources);
  expect(await doctor('--fix', '--yes')).toMatchObject({
    exitCode: 0,
    fixed: ['firewall-rules'],
    states: [],
  });
  const opened = { now: new Set([pods, services]), lasting: new Set([services]) };
  expect(sources).toEqual(opened);
  expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ exitCode: 0 });
  expect(sources).toEqual(opened);

  sources.now.clear();
  sources.lasting.clear();
  await doctor('--fix', '--yes');
  expect(sources).toEqual({ now: new Set([pods, services]), lasting: new Set([pods, services]) });
  expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ exitCode: 0 });
  expect(sources).toEqual({ now: new Set(), lasting: new Set() });
});

test('a firewall that was taken away meanwhile stands in no way of uninstall', async () => {
  const added = new Set<string>();
  ufw(added);
  await doctor('--fix', '--yes');
  machine.programs.delete('ufw');
  expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ exitCode: 0 });
});

test('a firewall that refuses is an error, in its own words', async () => {
  ufw(new Set());
  const works = machine.programs.get('ufw');
  machine.programs.set('ufw', (argv, options) =>
    argv[1] === 'allow'
      ? { exitCode: 1, stderr: 'ERROR: Could not load logging rules' }
      : (works?.(argv, options) ?? {}),
  );
  const { exitCode, stderr } = await machine.run(['doctor', '--fix', '--yes']);
  expect(exitCode).toBe(7);
  expect(stderr).toContain(`ufw ${PODS} failed: ERROR: Could not load logging rules`);
});

test('before an installation it looks with the flags that install would get', async () => {
  const looked = async (...flags: readonly string[]) => {
    const { exitCode, stdout } = await machine.run(['doctor', '--json', ...flags]);
    const { checks, error } = JSON.parse(stdout);
    return { exitCode, checks: checks?.map(({ id }: { id: string }) => id), error };
  };
  expect((await looked('--k3s-mirror', MIRROR)).checks).toContain('k3s-downloads');
  const bundle = ['--output', '/root/bundle.tar', '--k3s-mirror', MIRROR];
  expect(await machine.run(['bundle', 'create', ...bundle])).toMatchObject({ exitCode: 0 });
  const offline = await looked('--bundle', '/root/bundle.tar');
  expect(offline.exitCode).toBe(0);
  expect(offline.checks).toContain('memory');
  expect(offline.checks).not.toContain('k3s-downloads');
  expect(offline.checks).not.toContain('registries');
  await put('/root/other.tar', 'no bundle');
  expect((await looked('--bundle', '/root/other.tar')).error).toMatchObject({
    code: 'BUNDLE_INVALID',
  });
  const mistaken = await looked('--registry-mirror', 'docker.io=');
  expect(mistaken).toMatchObject({ exitCode: 3, error: { code: 'CONFIG_INVALID' } });
  expect(await machine.run(['doctor', '--timeout', '2h'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('Give a duration from 500ms to 1m, such as 10s'),
  });
});

test('certificates that were made while the clock was ahead are made anew by --fix', async () => {
  await put(FORWARD, '1\n');
  await put(BRIDGE, '1\n');
  await install();
  const path = '/var/lib/rancher/k3s/server/tls/client-admin.crt';
  const { cert } = await makeCertificates(['127.0.0.1']);
  await put(path, cert);
  const behind = { ...systemClock, now: () => new Date(Date.now() - 2 * 24 * 3_600_000) };
  machine.programs.set('/usr/local/bin/k3s', async ([, ...words]) => {
    if (words.join(' ') !== 'certificate rotate') {
      return undefined;
    }
    await machine.files.remove(path);
    return {};
  });
  const before = machine.calls.length;
  const ran = await machine.run(['doctor', '--fix', '--yes', '--json'], { clock: behind });
  expect(JSON.parse(ran.stdout).fixed).toContain('k3s-certificate-rotation');
  const lines = machine.calls.slice(before).map(({ argv }) => argv.join(' '));
  expect(lines.filter((line) => / (stop|start|rotate)/.test(line))).toEqual([
    'systemctl stop k3s.service',
    '/usr/local/bin/k3s certificate rotate',
    'systemctl start k3s.service',
  ]);
});

const OLD = '/var/lib/rancher/k3s/data';
const hash = (letter: string) => letter.repeat(64);

test('a disk that fills is told days before, and --fix removes what nobody needs, shown first', async () => {
  await put(FORWARD, '1\n');
  await put(BRIDGE, '1\n');
  await install();
  const now = Date.now();
  const samples = Array.from({ length: 72 }, (_, hour) => ({
    at: new Date(now - (72 - hour) * 3_600_000).toISOString(),
    disks: [{ path: '/var/lib/rancher', used: 50 + hour * 0.25, total: 100 }],
  }));
  const file = '/var/lib/pipeops-agent-host/disk-samples.json';
  await put(file, JSON.stringify({ v: 1, samples }));
  for (const letter of ['a', 'b', 'c']) {
    await put(`${OLD}/${hash(letter)}/bin/k3s`, '');
  }
  await machine.files.link(`${OLD}/${hash('a')}`, `${OLD}/current`);
  await machine.files.link(`${OLD}/${hash('b')}`, `${OLD}/previous`);
  machine.programs.set('journalctl', () => ({}));
  machine.programs.set('/usr/local/bin/k3s', ([, word]) => (word === 'crictl' ? {} : undefined));
  const clock = scaledClock(1 / 20); // Checks have a few seconds, and the machine may be busy.
  const shown = await machine.run(['doctor', '--fix'], { confirm: false, clock });
  expect(shown.stdout + shown.stderr).toContain(
    `Remove from the disk what nobody needs: remove ${OLD}/${hash('c')}\n`,
  );
  expect(shown.stderr).toContain('  /usr/local/bin/k3s crictl rmi --prune\n');
  const ran = await machine.run(['doctor', '--fix', '--yes', '--json'], { clock });
  const { fixed, checks } = JSON.parse(ran.stdout);
  expect(fixed).toContain('disk-cleaning');
  expect(checks.find(({ id }: { id: string }) => id === 'disk-trend').finding.message).toBe(
    'At its pace the disk of /var/lib/rancher is 85 % full in 2 days: now 68 %, 6.0 % more a day',
  );
  expect((await machine.files.list(OLD)).toSorted()).toEqual([
    ...[hash('a'), hash('b'), 'current', 'previous'],
  ]);
});
