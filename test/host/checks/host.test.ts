/** What each check says of one thing that is wrong, on a machine where all else is right. */
import { expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import type { SettingFlagValues } from '../../../src/config/load.ts';
import type { Clock, DiskSpace, Exec } from '../../../src/core/ports.ts';
import { runChecks } from '../../../src/host/checks/run.ts';
import type { FactDeps, MachineRole } from '../../../src/host/facts/fact.ts';
import { CHECKS } from '../../../src/machine/checks.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { selfSignedCertificate } from '../../../src/server/self-signed-certificate.ts';
import { deploymentsOfKubectl } from '../../support/deployments-of-kubectl.ts';
import { factDeps, subjectOf } from '../../support/fact-deps.ts';
import {
  DEBIAN_12,
  machineTree,
  putTree,
  ROOMY_DISK,
  type Tree,
} from '../../support/machine-tree.ts';
import { memoryDirectory } from '../../support/temp-dir.ts';
import { makeCertificates } from '../../support/tls.ts';

const DATABASE = '/var/lib/rancher/k3s/server/db';

interface Case {
  readonly check: string;
  readonly more?: Tree;
  readonly role?: MachineRole;
  readonly k3sRole?: 'server' | 'agent';
  readonly disk?: Partial<DiskSpace>;
  readonly deps?: Partial<FactDeps>;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: SettingFlagValues;
}

/** @returns what the check says on Debian 12 with this changed */
async function outcomeOf(wanted: Case) {
  await using machine = await memoryDirectory();
  await putTree(machine.path, { ...machineTree(DEBIAN_12), ...wanted.more });
  const files = {
    ...systemFiles(machine.path),
    diskSpace: async () => ({ ...ROOMY_DISK, ...wanted.disk }),
  };
  const { role = 'bare', k3sRole = 'server', env = {}, flags = {} } = wanted;
  const subject = subjectOf({ role, k3sRole, env, flags });
  const checks = CHECKS.filter(({ id, roles }) => id === wanted.check && roles.includes(role));
  const [result, ...others] = await runChecks(
    factDeps(machine.path, { files, subject, ...wanted.deps }),
    checks,
  );
  expect([wanted.check, others]).toEqual([result?.id ?? 'no such check on this machine', []]);
  const { severity, outcome } = result ?? {};
  return outcome?.state === 'found' ? { severity, ...outcome.finding } : { severity, ...outcome };
}

/** Every program answers this. */
function answering(stdout: string, exitCode = 0): Exec {
  return { run: async () => ({ exitCode, stdout, stderr: '' }) };
}

/** The clock of the wall shows this. */
function at(time: string): Clock {
  return { ...systemClock, now: () => new Date(time) };
}

/** Each look at it takes so long. */
function slowClock(ms: number): Clock {
  let now = 0;
  return {
    ...systemClock,
    monotonic: () => {
      now += ms;
      return now;
    },
  };
}

/** A socket that waits, as the kernel tells it. */
const waiting = (port: number, inode: number, state = '0A') =>
  `  sl  local_address\n   0: 00000000:${port.toString(16).toUpperCase()} 00000000:0000 ${state} 0:0 0:0 0 0 0 ${inode} 1\n`;
const nginx = (inode: number): Tree => ({
  '/proc/812/comm': 'nginx\n',
  '/proc/812/cgroup': '0::/system.slice/nginx.service\n',
  '/proc/812/fd/7': { link: `socket:[${inode}]` },
});

/** proc_net(5), of UDP alone. */
const udpErrors = (count: number) =>
  `Udp: InDatagrams InErrors InCsumErrors IgnoredMulti\nUdp: 9 0 ${count} 0\n`;
const ENFORCING_WITH_RULES = {
  '/sys/fs/selinux/enforce': '1',
  '/usr/share/selinux/packages/k3s.pp': '',
};
/** matchpathcon(8) of a program with such a label, which runs as process 4711. */
const labelled = (label: string): Exec => ({
  run: async ([program]) => {
    const should = 'system_u:object_r:container_runtime_exec_t:s0';
    const stdout =
      program === 'systemctl'
        ? '4711\n'
        : `/usr/local/bin/k3s has context ${label}, should be ${should}\n/var/lib/rancher/k3s verified.\n`;
    return { exitCode: program === 'systemctl' ? 0 : 1, stdout, stderr: '' };
  },
});

const WRONG: Readonly<Record<string, readonly [Case, object]>> = {
  'a TCP port with its program and unit': [
    { check: 'ports', more: { '/proc/net/tcp': waiting(6443, 4711), ...nginx(4711) } },
    {
      severity: 'blocks',
      code: 'PORT_IN_USE',
      message: 'These ports are taken: 6443 by nginx (pid 812, nginx.service)',
      fix: 'sudo systemctl disable --now nginx.service',
    },
  ],
  'a TCP port that only IPv6 has': [
    { check: 'ports', more: { '/proc/net/tcp6': waiting(10250, 4711) } },
    { message: 'These ports are taken: 10250 by an unknown process' },
  ],
  'a TCP port whose program a container calls a unit': [
    {
      check: 'ports',
      more: {
        '/proc/net/tcp': waiting(6443, 4711),
        ...nginx(4711),
        '/proc/812/cgroup': '0::/lxc.payload.a/$(reboot).service\n',
      },
    },
    {
      message: 'These ports are taken: 6443 by nginx (pid 812)',
      details: {
        ports: [{ port: 6443, protocol: 'tcp', pid: 812, program: 'nginx', unit: null }],
      },
    },
  ],
  'the UDP port of VXLAN': [
    { check: 'ports', more: { '/proc/net/udp': waiting(8472, 12, '07') } },
    { message: 'These ports are taken: 8472/udp by an unknown process' },
  ],
  'a port of etcd, where several servers are wanted': [
    { check: 'ports', flags: { ha: true }, more: { '/proc/net/tcp': waiting(2380, 4711) } },
    { message: 'These ports are taken: 2380 by an unknown process' },
  ],
  'a port on loopback that a worker needs': [
    { check: 'ports', k3sRole: 'agent', more: { '/proc/net/tcp': waiting(6444, 1) } },
    { message: 'These ports are taken: 6444 by an unknown process' },
  ],
  'the ports of web sites, where traefik is wanted': [
    {
      check: 'web-ports',
      flags: { traefik: true },
      more: { '/proc/net/tcp': waiting(80, 4711), ...nginx(4711) },
    },
    { severity: 'warns', message: 'These ports are taken: 80 by nginx (pid 812, nginx.service)' },
  ],
  'RKE2 from a package': [
    { check: 'other-cluster', more: { '/usr/bin/rke2': '' } },
    {
      severity: 'blocks',
      code: 'CLUSTER_EXISTS',
      message: 'This machine already runs RKE2 (/usr/bin/rke2)',
      hint: 'Use another machine, or remove it first: rke2-uninstall.sh',
    },
  ],
  'RKE2 where /usr/local is read-only': [
    { check: 'other-cluster', more: { '/opt/rke2/bin/rke2': '' } },
    { message: 'This machine already runs RKE2 (/opt/rke2/bin/rke2)' },
  ],
  'MicroK8s where snaps are elsewhere, and k0s beside it': [
    {
      check: 'other-cluster',
      more: { '/var/lib/snapd/snap/microk8s/current': '', '/usr/local/bin/k0s': '' },
    },
    {
      message:
        'This machine already runs MicroK8s (/var/lib/snapd/snap/microk8s), k0s (/usr/local/bin/k0s)',
      hint: 'Use another machine, or remove it first: snap remove microk8s, k0s reset',
    },
  ],
  'k3s whose program is elsewhere': [
    { check: 'other-cluster', more: { '/etc/systemd/system/k3s-agent.service': '' } },
    { message: 'This machine already runs k3s (/etc/systemd/system/k3s-agent.service)' },
  ],
  'too few instances of inotify': [
    { check: 'inotify-limits', more: { '/proc/sys/fs/inotify/max_user_instances': '128\n' } },
    {
      severity: 'warns',
      message: 'Too low: fs.inotify.max_user_instances is 128, not 256',
      fix: 'sudo pipeops-agent doctor --fix',
    },
  ],
  'too few instances of inotify in a container, whose host has them': [
    {
      check: 'inotify-limits',
      more: {
        '/proc/sys/fs/inotify/max_user_instances': '128\n',
        '/run/systemd/container': 'lxc\n',
      },
    },
    {
      hint: 'Set it on the host of this container (lxc)',
      fix: 'sudo sysctl -w fs.inotify.max_user_instances=1024\nsudo sysctl -w fs.inotify.max_user_watches=524288',
    },
  ],
  'forwarding of IPv6 that is off, with pods of IPv6': [
    {
      check: 'forwarding-ipv6',
      role: 'server',
      more: {
        '/proc/sys/net/ipv6/conf/all/forwarding': '0\n',
        '/etc/rancher/k3s/config.yaml': 'cluster-cidr: 10.42.0.0/16,fd42::/56\n',
      },
    },
    { severity: 'blocks', message: 'Too low: net.ipv6.conf.all.forwarding is 0, not 1' },
  ],
  'forwarding that was turned off': [
    { check: 'forwarding', role: 'server', more: { '/proc/sys/net/ipv4/ip_forward': '0\n' } },
    { severity: 'blocks', message: 'Too low: net.ipv4.ip_forward is 0, not 1' },
  ],
  'a kernel that does not tell its settings': [
    {
      check: 'forwarding',
      role: 'worker',
    },
    {
      state: 'not-checked',
      because: 'this kernel does not tell net.ipv4.ip_forward, net.bridge.bridge-nf-call-iptables',
    },
  ],
  'a module of the network that is not loaded': [
    { check: 'bridge-netfilter', role: 'worker' },
    {
      severity: 'blocks',
      message: 'br_netfilter is not loaded',
      fix: 'sudo pipeops-agent doctor --fix',
    },
  ],
  'routes that a cloud writes': [
    {
      check: 'nm-cloud-setup',
      more: {
        '/etc/systemd/system/timers.target.wants/nm-cloud-setup.timer': '',
        '/etc/systemd/system/multi-user.target.wants/nm-cloud-setup.service': '',
      },
    },
    {
      severity: 'warns',
      message: 'Enabled: nm-cloud-setup.service, nm-cloud-setup.timer',
      fix: 'sudo systemctl disable --now nm-cloud-setup.service nm-cloud-setup.timer\nsudo reboot',
    },
  ],
  'swap on a disk': [
    {
      check: 'swap',
      more: { '/proc/swaps': 'Filename\n/swapfile file 1 0 -2\n/dev/zram0 p 1 0 1\n' },
    },
    { severity: 'warns', message: 'Swap is on: /swapfile', fix: 'sudo swapoff -a' },
  ],
  'memory for nothing': [
    { check: 'memory', more: { '/proc/meminfo': 'MemTotal: 400000 kB\n' } },
    { severity: 'blocks', message: 'The machine has 391 MiB of memory, too little' },
  ],
  'memory for a worker only': [
    { check: 'memory', more: { '/proc/meminfo': 'MemTotal: 1000000 kB\n' } },
    {
      severity: 'blocks',
      message: 'The machine has 977 MiB of memory, too little for a server',
      hint: expect.stringContaining('--profile lite'),
    },
  ],
  'a server that runs with little memory': [
    { check: 'memory', role: 'server', more: { '/proc/meminfo': 'MemTotal: 1000000 kB\n' } },
    { severity: 'warns', message: 'The machine has 977 MiB of memory, too little for a server' },
  ],
  'a server with one processor': [
    { check: 'processors', more: { '/proc/cpuinfo': 'processor\t: 0\nflags\t: sse4_2\n' } },
    { severity: 'warns', message: 'The machine has one processor' },
  ],
  'a disk without room': [
    { check: 'disk-space', disk: { freeBytes: 1_000_000_000 } },
    {
      severity: 'blocks',
      message: 'Only 953 MiB are free for /var/lib/rancher, and 953 MiB are free for /opt',
    },
  ],
  'a disk that fills up': [
    { check: 'disk-filling', disk: { freeBytes: 10e9 } },
    { severity: 'warns', message: 'The disk fills up: 90 % of that of /var/lib/rancher, /opt' },
  ],
  'few inodes': [
    { check: 'inodes', disk: { freeInodes: 100, totalInodes: 10_000 } },
    {
      severity: 'warns',
      message: 'Few inodes are free: 100 of 10000 for /var/lib/rancher, and 100 of 10000 for /opt',
    },
  ],
  'a name that Kubernetes refuses': [
    { check: 'hostname', deps: { hostname: 'my_server' } },
    { severity: 'blocks', message: 'A node cannot be called "my_server", as this machine' },
  ],
  'a name that many machines have': [
    { check: 'hostname', deps: { hostname: 'localhost.localdomain' } },
    {
      severity: 'warns',
      message: 'The machine is called "localhost.localdomain", as many others are',
    },
  ],
  'no identity': [
    { check: 'machine-id', more: { '/etc/machine-id': '' } },
    { severity: 'warns', message: expect.stringMatching(/^\/etc\/machine-id is empty/) },
  ],
  'an identity that was made by hand': [
    { check: 'machine-id', more: { '/etc/machine-id': `${'0'.repeat(32)}\n` } },
    { message: expect.stringMatching(/which was not made for this machine$/) },
  ],
  'SELinux without the rules of k3s': [
    { check: 'selinux', role: 'worker', more: { '/sys/fs/selinux/enforce': '1' } },
    {
      severity: 'warns',
      message: 'SELinux is enforcing, and the rules of k3s are not installed',
      fix: 'sudo dnf install -y k3s-selinux',
    },
  ],
  'SELinux on an image of openSUSE, whose packages count from the next start': [
    {
      check: 'selinux',
      role: 'server',
      more: {
        '/sys/fs/selinux/enforce': '1',
        '/usr/bin/zypper': '',
        '/usr/sbin/transactional-update': '',
      },
    },
    {
      fix: 'sudo transactional-update --non-interactive pkg install k3s-selinux\nsudo systemctl reboot',
    },
  ],
  'packets between nodes with wrong checksums': [
    {
      check: 'pod-checksums',
      role: 'worker',
      more: { '/sys/class/net/flannel.1/mtu': '1450\n', '/proc/net/snmp': udpErrors(4_711) },
    },
    {
      severity: 'warns',
      message: '4711 UDP packets came to this node with a wrong checksum and were dropped',
      fix: 'sudo ethtool -K flannel.1 tx-checksum-ip-generic off',
    },
  ],
  'labels of SELinux that the rules of k3s do not expect': [
    {
      check: 'selinux-labels',
      role: 'server',
      more: ENFORCING_WITH_RULES,
      deps: { exec: labelled('unconfined_u:object_r:bin_t:s0') },
    },
    {
      severity: 'warns',
      message:
        'Labels of SELinux are wrong: /usr/local/bin/k3s is bin_t, not container_runtime_exec_t',
      fix: 'sudo restorecon -R -v /usr/local/bin/k3s\nsudo systemctl restart k3s.service',
    },
  ],
  'a k3s that was started before its rules were there': [
    {
      check: 'selinux-labels',
      role: 'server',
      more: {
        ...ENFORCING_WITH_RULES,
        '/proc/4711/attr/current': 'system_u:system_r:unconfined_service_t:s0\0',
      },
      deps: { exec: labelled('unconfined_u:object_r:container_runtime_exec_t:s0') },
    },
    {
      message:
        'k3s runs as unconfined_service_t, not as container_runtime_t: it was started before its rules were there',
      fix: 'sudo systemctl restart k3s.service',
    },
  ],
  'AppArmor without its parser': [
    { check: 'apparmor', more: { '/sys/module/apparmor/parameters/enabled': 'Y\n' } },
    { severity: 'warns', message: 'AppArmor is on, and apparmor_parser is missing' },
  ],
  'a k3s that has failed': [
    { check: 'k3s', role: 'server', deps: { exec: answering('failed') } },
    {
      severity: 'blocks',
      message: 'k3s.service is failed',
      fix: 'sudo systemctl restart k3s.service',
    },
  ],
  'etcd without a snapshot': [
    {
      check: 'etcd-snapshots',
      role: 'server',
      more: { [`${DATABASE}/etcd/member/snap/db`]: '' },
    },
    { severity: 'warns', message: 'There is no snapshot of etcd on this machine' },
  ],
  'etcd whose snapshots have stopped': [
    {
      check: 'etcd-snapshots',
      role: 'server',
      deps: { clock: at('2026-01-03T02:00:00Z') },
      more: {
        [`${DATABASE}/etcd/member/snap/db`]: '',
        [`${DATABASE}/snapshots/etcd-snapshot-web-1-1767139200`]: '',
        [`${DATABASE}/snapshots/on-demand-web-1-1767225600.zip`]: '',
      },
    },
    { severity: 'warns', message: 'The newest snapshot of etcd is 50 hours old' },
  ],
  'another agent, in the cluster': [
    {
      check: 'cluster-agent',
      role: 'server',
      more: { '/usr/local/bin/k3s': '' },
      deps: {
        exec: deploymentsOfKubectl([
          ['apps', 'ours', '', '', 'pipeops/agent:latest'],
          ['shop', 'web', '', 'web', 'nginx'],
        ]),
      },
    },
    { severity: 'warns', message: 'Another agent runs inside of the cluster: ours in apps' },
  ],
  'a cluster that does not answer': [
    {
      check: 'cluster-agent',
      role: 'server',
      more: { '/usr/local/bin/k3s': '' },
      deps: { exec: answering('', 1) },
    },
    { state: 'not-checked' },
  ],
  'a slow disk': [
    { check: 'disk-latency', deps: { clock: slowClock(40) } },
    { severity: 'warns', message: 'The disk of / takes 40 ms for a small write' },
  ],
  'a place that nothing runs from': [
    {
      check: 'noexec-places',
      more: {
        '/proc/self/mounts': '/dev/a / ext4 rw 0 0\n/dev/b /var ext4 rw,noexec 0 0\n',
      },
    },
    {
      severity: 'blocks',
      message: 'No program may run from: /var/lib/rancher/k3s (mount /var)',
      fix: 'sudo mount -o remount,exec /var',
    },
  ],
};

test('a package manager at work is told with its program', async () => {
  await using machine = await memoryDirectory();
  await putTree(machine.path, {
    ...machineTree(DEBIAN_12),
    '/var/lib/dpkg/lock-frontend': '',
    '/proc/990/comm': 'unattended-upgr\n',
  });
  const files = systemFiles(machine.path);
  const inode = (await files.stat('/var/lib/dpkg/lock-frontend'))?.inode;
  await putTree(machine.path, {
    '/proc/locks': `1: FLOCK  ADVISORY  WRITE 5 08:01:1 0 EOF\n2: POSIX  ADVISORY  WRITE 990 08:01:${inode} 0 EOF\n`,
  });
  const checks = CHECKS.filter(({ id }) => id === 'package-lock');
  expect(await runChecks(factDeps(machine.path), checks)).toMatchObject([
    {
      severity: 'warns',
      outcome: {
        finding: { message: 'The package manager is at work: unattended-upgr (pid 990)' },
      },
    },
  ]);
  // dnf notes its process in a file while it downloads, and has nothing locked yet.
  await putTree(machine.path, {
    '/proc/locks': '',
    '/proc/991/comm': 'dnf\n',
    '/var/cache/dnf/download_lock.pid': '991',
  });
  expect(await runChecks(factDeps(machine.path), checks)).toMatchObject([
    { outcome: { finding: { message: 'The package manager is at work: dnf (pid 991)' } } },
  ]);
});

test('certificates of k3s that end soon are told, and those that have ended are an error', async () => {
  const { ca } = await makeCertificates(['127.0.0.1']);
  const year = { notBefore: new Date('2026-01-01'), notAfter: new Date('2027-01-01') };
  const { certificate: cert } = selfSignedCertificate({
    ...{ commonName: 'client-admin', dnsNames: [], ipAddresses: [], ...year },
    serial: Uint8Array.of(1),
  });
  const more = {
    '/var/lib/rancher/k3s/server/tls/client-admin.crt': cert,
    '/var/lib/rancher/k3s/server/tls/note.crt': 'no certificate\n',
    '/var/lib/rancher/k3s/agent/readme': ca,
  };
  const path = '/var/lib/rancher/k3s/server/tls/client-admin.crt';
  const end = new Date(new X509Certificate(cert).validTo);
  const on = (days: number) => {
    const clock = at(new Date(end.getTime() - days * 24 * 3_600_000).toISOString());
    return outcomeOf({ check: 'k3s-certificates', role: 'server', more, deps: { clock } });
  };
  const day = end.toISOString().slice(0, 10);
  const fix = 'sudo systemctl restart k3s.service';
  expect(await on(31)).toMatchObject({ state: 'ok' });
  expect(await on(20)).toMatchObject({
    ...{ severity: 'warns', fix },
    message: `A certificate of k3s ends in 20 days, on ${day}: ${path}`,
  });
  expect(await on(-1)).toMatchObject({
    ...{ severity: 'blocks', fix },
    message: `A certificate of k3s has ended on ${day}: ${path}`,
  });
});

test('certificates of k3s that are not valid yet are told, and can be made anew but for authorities', async () => {
  const { ca, cert } = await makeCertificates(['127.0.0.1']);
  const path = '/var/lib/rancher/k3s/server/tls/client-admin.crt';
  const begin = new Date(new X509Certificate(cert).validFrom);
  const clock = at(new Date(begin.getTime() - 3_600_000).toISOString());
  const found = (pem: string) =>
    outcomeOf({
      check: 'k3s-certificates',
      role: 'server',
      more: { [path]: pem },
      deps: { clock },
    });
  expect(await found(cert)).toMatchObject({
    severity: 'blocks',
    message: expect.stringMatching(
      /^A certificate of k3s is not valid before .+, and this clock shows .+client-admin\.crt$/,
    ),
    fix: 'sudo pipeops-agent doctor --fix',
  });
  expect(await found(ca)).toMatchObject({
    hint: expect.stringContaining('the authority was made while it was ahead'),
  });
});

test('a clock that is before the making of the program is found without any other clock', async () => {
  const builtAt = new Date('2026-03-01T12:00:00Z');
  const found = (time: string) =>
    outcomeOf({ check: 'clock-past', deps: { builtAt, clock: at(time) } });
  expect(await found('1970-01-01T00:00:10.000Z')).toMatchObject({
    ...{ severity: 'blocks', fix: 'sudo timedatectl set-ntp true' },
    message: 'This clock shows 1970-01-01, and this program was made on 2026-03-01',
  });
  expect(await found('2026-02-28T13:00:00.000Z')).toMatchObject({ state: 'ok' });
});

test.each(Object.entries(WRONG))('%s', async (_, [wanted, said]) => {
  expect(await outcomeOf(wanted)).toMatchObject(said);
});

const RIGHT: Readonly<Record<string, Case>> = {
  'web ports that nobody wants': { check: 'web-ports', more: { '/proc/net/tcp': waiting(80, 1) } },
  'a port that is only connected from': {
    check: 'ports',
    more: { '/proc/net/tcp': waiting(6443, 1, '01') },
  },
  'a port of a server on a worker': {
    check: 'ports',
    k3sRole: 'agent',
    more: { '/proc/net/tcp': waiting(6443, 1) },
  },
  'a few wrong checksums': {
    check: 'pod-checksums',
    role: 'server',
    more: { '/sys/class/net/flannel.1/mtu': '1450\n', '/proc/net/snmp': udpErrors(3) },
  },
  'wrong checksums where pods do not travel in UDP': {
    check: 'pod-checksums',
    role: 'server',
    more: { '/proc/net/snmp': udpErrors(4_711) },
  },
  'a file system without a count of inodes': {
    check: 'inodes',
    disk: { freeInodes: 0, totalInodes: 0 },
  },
  'less room on a machine that is installed': {
    check: 'disk-space',
    role: 'server',
    disk: { freeBytes: 1e9 },
  },
  'a small worker': {
    check: 'memory',
    k3sRole: 'agent',
    more: { '/proc/meminfo': 'MemTotal: 1000000 kB\n' },
  },
  'a name of its own for the node': {
    check: 'hostname',
    deps: { hostname: 'my_server' },
    env: { K3S_NODE_NAME: 'web-1' },
  },
};

test.each(Object.entries(RIGHT))('%s is all right', async (_, wanted) => {
  expect(await outcomeOf(wanted)).toMatchObject({ state: 'ok' });
});

test('every check has an id of its own, a short title, and says why it matters and what helps', () => {
  expect(new Set(CHECKS.map(({ id }) => id)).size).toBe(CHECKS.length);
  for (const { id, title, why, remedy, roles } of CHECKS) {
    expect([id, title.length <= 26, why.endsWith('.'), remedy !== '', roles.length > 0]).toEqual([
      expect.stringMatching(/^[a-z][a-z0-9-]+$/),
      true,
      true,
      true,
      true,
    ]);
  }
});
