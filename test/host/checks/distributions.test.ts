/** What is told of a machine before anything is installed there, system by system. */
import { expect, test } from 'bun:test';
import { runChecks } from '../../../src/host/checks/run.ts';
import { checksFor } from '../../../src/machine/checks.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { factDeps } from '../../support/fact-deps.ts';
import { machineTree, putTree, ROOMY_DISK, type TreeOptions } from '../../support/machine-tree.ts';
import { memoryDirectory } from '../../support/temp-dir.ts';
import { TOOLS } from '../../support/tools.ts';

/** Of a k3s whose kubelet refuses cgroup v1. */
const NEW_K3S = 'v1.35.0+k3s1';

const os = (id: string, version: string, name: string, more = '') =>
  `NAME="${name}"\nID=${id}\nVERSION_ID="${version}"\nPRETTY_NAME="${name} ${version}"\n${more}`;
const el = (id: string, version: string, name: string) =>
  os(id, version, name, 'ID_LIKE="rhel centos fedora"\n');
const GRUBBY = { '/usr/sbin/grubby': '' };
const GRUB = { '/etc/default/grub': 'GRUB_CMDLINE_LINUX=""\n', '/usr/sbin/update-grub': '' };
const PI_KERNEL = { kernel: '6.6.31+rpt-rpi-v8', modulesEnd: '.ko.xz' };
const PI_CONTROLLERS = 'cpuset cpu io pids';
const RPM = { modulesEnd: '.ko.xz', more: GRUBBY };

interface Case {
  readonly tree: TreeOptions;
  readonly k3s?: string;
  /** `id: blocks or warns: beginning of the message`, for each finding. */
  readonly finds: readonly string[];
}

const should = (name: string) => `distribution: warns: ${name} should work, but is not supported`;
const cannot = (name: string) => `distribution: blocks: ${name} cannot be a node`;
const V1 = 'The control groups are of version 1';

const CASES: Readonly<Record<string, Case>> = {
  'Debian 11': {
    tree: { os: os('debian', '11', 'Debian GNU/Linux'), kernel: '5.10.0-33-amd64', more: GRUB },
    finds: [should('Debian GNU/Linux 11')],
  },
  'Debian 12': { tree: { os: os('debian', '12', 'Debian GNU/Linux'), more: GRUB }, finds: [] },
  'Debian 13': {
    tree: {
      os: os('debian', '13', 'Debian GNU/Linux'),
      kernel: '6.12.43-amd64',
      modulesEnd: '.ko.xz',
    },
    finds: [],
  },
  'Debian testing, without a version': {
    tree: { os: 'PRETTY_NAME="Debian GNU/Linux forky/sid"\nID=debian\n' },
    finds: [],
  },
  'Ubuntu 20.04': {
    tree: {
      os: os('ubuntu', '20.04', 'Ubuntu', 'ID_LIKE=debian\n'),
      kernel: '5.4.0-216-generic',
      cgroups: 'hybrid',
      more: GRUB,
    },
    k3s: NEW_K3S,
    finds: [
      should('Ubuntu 20.04'),
      `cgroup-version: blocks: ${V1} (a hybrid), and k3s v1.35.0+k3s1 refuses them`,
    ],
  },
  'Ubuntu 22.04': {
    tree: { os: os('ubuntu', '22.04', 'Ubuntu', 'ID_LIKE=debian\n'), kernel: '5.15.0-164-generic' },
    k3s: NEW_K3S,
    finds: [],
  },
  'Ubuntu 24.04': {
    tree: {
      os: os('ubuntu', '24.04', 'Ubuntu', 'ID_LIKE=debian\n'),
      kernel: '6.8.0-60-generic',
      modulesEnd: '.ko.zst',
    },
    finds: [],
  },
  'Ubuntu 24.04 on a Raspberry Pi, without its extra modules': {
    tree: {
      os: os('ubuntu', '24.04', 'Ubuntu', 'ID_LIKE=debian\n'),
      kernel: '6.8.0-1030-raspi',
      withoutModules: ['vxlan'],
    },
    finds: ['kernel-modules: blocks: The kernel has no vxlan (for traffic between machines)'],
  },
  'RHEL 8': {
    tree: {
      os: el('rhel', '8.10', 'Red Hat Enterprise Linux'),
      kernel: '4.18.0-553.el8_10.x86_64',
      cgroups: 'v1',
      ...RPM,
    },
    k3s: 'v1.34.4+k3s1',
    finds: [
      should('Red Hat Enterprise Linux 8.10'),
      `cgroup-version: warns: ${V1}: Kubernetes 1.35 and newer will refuse them`,
    ],
  },
  'RHEL 9': {
    tree: {
      os: el('rhel', '9.5', 'Red Hat Enterprise Linux'),
      kernel: '5.14.0-503.el9_5.x86_64',
      ...RPM,
    },
    finds: [],
  },
  'RHEL 10 without kernel-modules-extra': {
    tree: {
      os: el('rhel', '10.0', 'Red Hat Enterprise Linux'),
      kernel: '6.12.0-55.el10.x86_64',
      withoutModules: ['br_netfilter', 'xt_comment'],
      ...RPM,
    },
    finds: [
      "kernel-modules: blocks: The kernel has no br_netfilter (for the pods' network), xt_comment (for Services)",
    ],
  },
  'Rocky Linux 9': { tree: { os: el('rocky', '9.5', 'Rocky Linux'), ...RPM }, finds: [] },
  'AlmaLinux 9': { tree: { os: el('almalinux', '9.5', 'AlmaLinux'), ...RPM }, finds: [] },
  'Oracle Linux 9': { tree: { os: el('ol', '9.5', 'Oracle Linux Server'), ...RPM }, finds: [] },
  'CentOS Stream 9': { tree: { os: el('centos', '9', 'CentOS Stream'), ...RPM }, finds: [] },
  'CentOS 7': {
    tree: {
      os: el('centos', '7', 'CentOS Linux'),
      kernel: '3.10.0-1160.el7.x86_64',
      cgroups: 'v1',
      ...RPM,
    },
    k3s: NEW_K3S,
    finds: [
      cannot('CentOS Linux 7'),
      `cgroup-version: blocks: ${V1}, and k3s v1.35.0+k3s1 refuses them`,
    ],
  },
  'an old Ubuntu whose kubelet has leave by an argument': {
    tree: {
      os: os('ubuntu', '20.04', 'Ubuntu', 'ID_LIKE=debian\n'),
      kernel: '5.4.0-216-generic',
      cgroups: 'hybrid',
      more: { '/etc/rancher/k3s/config.yaml': 'kubelet-arg:\n  - fail-cgroupv1=false\n' },
    },
    k3s: NEW_K3S,
    finds: [should('Ubuntu 20.04')],
  },
  'Fedora 42': {
    tree: { os: os('fedora', '42', 'Fedora Linux'), ...RPM },
    finds: [should('Fedora Linux 42')],
  },
  'Fedora CoreOS': {
    tree: {
      os: os('fedora', '42', 'Fedora CoreOS', 'VARIANT_ID=coreos\n'),
      kernel: '6.14.0-63.fc42.x86_64',
      kernelConfig: '/usr/lib/modules/6.14.0-63.fc42.x86_64/config',
      mounts: ['/usr ext4 ro', '/var ext4 rw'],
      more: {
        '/usr/local': { link: '../var/usrlocal' },
        '/var/usrlocal/bin/.keep': '',
        '/run/ostree-booted': '',
        '/opt': { link: 'var/opt' },
      },
    },
    finds: [should('Fedora CoreOS 42')],
  },
  'Amazon Linux 2023': {
    tree: { os: os('amzn', '2023', 'Amazon Linux', 'ID_LIKE="fedora"\n'), ...RPM },
    finds: [should('Amazon Linux 2023')],
  },
  'Amazon Linux 2': {
    tree: {
      os: os('amzn', '2', 'Amazon Linux', 'ID_LIKE="centos rhel fedora"\n'),
      kernel: '5.10.235-227.amzn2.x86_64',
      cgroups: 'v1',
    },
    finds: [
      cannot('Amazon Linux 2'),
      `cgroup-version: warns: ${V1}: Kubernetes 1.35 and newer will refuse them`,
    ],
  },
  'SLES 15': {
    tree: { os: os('sles', '15.6', 'SLES', 'ID_LIKE="suse"\n'), modulesEnd: '.ko.zst' },
    finds: [should('SLES 15.6')],
  },
  'openSUSE Leap': {
    tree: {
      os: os('opensuse-leap', '15.6', 'openSUSE Leap', 'ID_LIKE="suse opensuse"\n'),
      modulesEnd: '.ko.zst',
    },
    finds: [should('openSUSE Leap 15.6')],
  },
  'openSUSE Tumbleweed': {
    tree: { os: os('opensuse-tumbleweed', '20260101', 'openSUSE Tumbleweed') },
    finds: [should('openSUSE Tumbleweed 20260101')],
  },
  'openSUSE MicroOS': {
    tree: {
      os: os('opensuse-microos', '20260101', 'openSUSE MicroOS'),
      mounts: [
        '/ btrfs ro',
        '/usr/local btrfs rw',
        '/opt btrfs rw',
        '/var btrfs rw',
        '/etc overlay rw',
      ],
    },
    finds: [should('openSUSE MicroOS 20260101')],
  },
  'Raspberry Pi OS (64-bit) as it comes': {
    tree: {
      os: os('debian', '12', 'Debian GNU/Linux'),
      controllers: PI_CONTROLLERS,
      ...PI_KERNEL,
      more: { '/boot/firmware/cmdline.txt': 'console=serial0,115200 root=PARTUUID=1 rootwait\n' },
    },
    finds: ['cgroup-controllers: blocks: These control groups are missing: memory'],
  },
  'Raspberry Pi OS (32-bit)': {
    tree: { os: os('raspbian', '12', 'Raspbian GNU/Linux', 'ID_LIKE=debian\n'), ...PI_KERNEL },
    finds: [cannot('Raspbian GNU/Linux 12')],
  },
  'Arch Linux': {
    tree: { os: 'NAME="Arch Linux"\nPRETTY_NAME="Arch Linux"\nID=arch\nBUILD_ID=rolling\n' },
    finds: [should('Arch Linux')],
  },
  'Arch Linux whose kernel was upgraded': {
    tree: {
      os: 'PRETTY_NAME="Arch Linux"\nID=arch\n',
      kernel: '6.17.1-arch1-1',
      more: {
        '/proc/sys/kernel/osrelease': '6.16.9-arch1-1\n',
        '/boot/config-6.16.9-arch1-1': '',
      },
    },
    finds: [
      should('Arch Linux'),
      'kernel-options: blocks: The kernel 6.16.9-arch1-1 is made without CONFIG_NAMESPACES,',
      'kernel-modules: blocks: The modules of the running kernel 6.16.9-arch1-1 are gone',
    ],
  },
  NixOS: {
    tree: { os: os('nixos', '25.05', 'NixOS') },
    finds: [cannot('NixOS 25.05')],
  },
  Flatcar: {
    tree: {
      os: os('flatcar', '4230.2.0', 'Flatcar Container Linux'),
      mounts: ['/usr ext4 ro'],
      more: { '/usr/local/bin/.keep': '' },
    },
    finds: [
      should('Flatcar Container Linux 4230.2.0'),
      'read-only-places: warns: /usr/local is read-only here',
    ],
  },
  'an image without a /usr/local': {
    tree: { os: os('debian', '12', 'Debian GNU/Linux'), mounts: ['/usr ext4 ro'] },
    finds: ['read-only-places: blocks: These places are read-only: /usr/local/bin (mount /usr)'],
  },
  'a relative of Ubuntu': {
    tree: { os: os('pop', '22.04', 'Pop!_OS', 'ID_LIKE="ubuntu debian"\n') },
    finds: ['distribution: warns: Pop!_OS 22.04 is not known here'],
  },
  'Ubuntu 24.04 in WSL': {
    tree: {
      os: os('ubuntu', '24.04', 'Ubuntu', 'ID_LIKE=debian\n'),
      kernel: '5.15.167.4-microsoft-standard-WSL2',
      more: { '/run/systemd/container': 'wsl\n' },
    },
    finds: [should('Ubuntu 24.04 in WSL')],
  },
  'Debian 12 in an LXC container without a cpuset': {
    tree: {
      os: os('debian', '12', 'Debian GNU/Linux'),
      controllers: 'cpu memory pids',
      more: { '/run/systemd/container': 'lxc\n' },
    },
    finds: ['cgroup-controllers: blocks: These control groups are missing: cpuset'],
  },
};

test.each(Object.entries(CASES))('%s', async (_, { tree, k3s, finds }) => {
  await using machine = await memoryDirectory();
  const tools = Object.fromEntries(TOOLS.map((tool) => [`/usr/bin/${tool}`, '']));
  await putTree(machine.path, { ...machineTree(tree), ...tools });
  const files = {
    ...systemFiles(machine.path),
    diskSpace: async () => ROOMY_DISK,
    writeAtomic: async () => undefined, // How quick this disk is while other tests run is no matter here.
  };
  const deps = factDeps(machine.path, { files, k3sVersion: async () => k3s });
  const results = await runChecks(deps, checksFor('bare'));
  const told = results.flatMap(({ id, severity, outcome }) =>
    outcome.state === 'ok'
      ? []
      : [
          outcome.state === 'found'
            ? `${id}: ${severity}: ${outcome.finding.message}`
            : `${id}: not checked: ${outcome.because}`,
        ],
  );
  expect(told).toEqual(finds.map((each) => expect.stringContaining(each)));
});

test('an LXC container without the messages of the kernel is refused, with what makes them', async () => {
  await using machine = await memoryDirectory();
  const { '/dev/kmsg': _, ...tree } = machineTree({ os: os('debian', '12', 'Debian GNU/Linux') });
  await putTree(machine.path, { ...tree, '/run/systemd/container': 'lxc\n' });
  const results = await runChecks(factDeps(machine.path), checksFor('bare'));
  expect(results.find(({ id }) => id === 'kernel-log')).toMatchObject({
    severity: 'blocks',
    outcome: {
      finding: {
        message: 'There is no /dev/kmsg',
        fix: expect.stringContaining("echo 'L /dev/kmsg - - - - /dev/console' | sudo tee"),
      },
    },
  });
});

test('a machine without systemd, as Alpine and the inside of a Docker container, is refused', async () => {
  await using machine = await memoryDirectory();
  const tree = machineTree({ os: os('alpine', '3.22.0', 'Alpine Linux') });
  await putTree(
    machine.path,
    Object.fromEntries(Object.entries(tree).filter(([path]) => !path.startsWith('/run/systemd'))),
  );
  await putTree(machine.path, { '/.dockerenv': '' });
  const results = await runChecks(factDeps(machine.path), checksFor('bare'));
  const found = new Map(results.map(({ id, outcome }) => [id, outcome]));
  expect(found.get('distribution')).toMatchObject({
    finding: { message: 'Alpine Linux 3.22.0 cannot be a node' },
  });
  expect(found.get('systemd')).toMatchObject({
    finding: { hint: expect.stringContaining('outside of the container (docker)') },
  });
});

test.each<[string, TreeOptions, string]>([
  [
    'a Raspberry Pi',
    { os: '', controllers: PI_CONTROLLERS, more: { '/boot/firmware/cmdline.txt': 'x\n' } },
    'sudo pipeops-agent doctor --fix',
  ],
  [
    'an image of ostree',
    { os: '', controllers: PI_CONTROLLERS, more: { '/run/ostree-booted': '' } },
    'sudo rpm-ostree kargs --append=cgroup_memory=1\nsudo rpm-ostree kargs --append=cgroup_enable=memory\nsudo reboot',
  ],
  [
    'an unknown boot loader',
    { os: '', controllers: PI_CONTROLLERS },
    '# in the configuration of the boot loader, add: cgroup_memory=1 cgroup_enable=memory\nsudo reboot',
  ],
  [
    'a Raspberry Pi that was told already',
    {
      os: '',
      controllers: PI_CONTROLLERS,
      more: { '/boot/cmdline.txt': 'x cgroup_memory=1 cgroup_enable=memory\n' },
    },
    'sudo reboot',
  ],
])(
  'the missing control group for memory is mended by the right file of %s',
  async (_, tree, fix) => {
    await using machine = await memoryDirectory();
    await putTree(machine.path, machineTree(tree));
    const results = await runChecks(factDeps(machine.path), checksFor('bare'));
    expect(results.find(({ id }) => id === 'cgroup-controllers')?.outcome).toMatchObject({
      finding: { fix },
    });
  },
);
