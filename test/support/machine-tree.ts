/** Files by which the facts know a machine, as systems have them. */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DiskSpace } from '../../src/core/ports.ts';

/** Content by path; of a link, where it leads. */
export type Tree = Readonly<Record<string, string | { readonly link: string }>>;

/** A test may run on a small disk; the checks of the disk have tests of their own. */
export const ROOMY_DISK: DiskSpace = {
  freeBytes: 50e9,
  totalBytes: 100e9,
  freeInodes: 5e6,
  totalInodes: 6e6,
};

const CONTROLLERS = 'cpuset cpu io memory hugetlb pids rdma misc';

/** Modules and options that `k3s check-config` asks for, as a distribution's kernel has them. */
const MODULES = [
  ...['fs/overlayfs/overlay', 'net/bridge/bridge', 'net/bridge/br_netfilter', 'drivers/net/veth'],
  ...['drivers/net/vxlan/vxlan', 'net/netfilter/nf_conntrack', 'net/netfilter/nf_nat'],
  ...['net/netfilter/xt_comment', 'net/netfilter/xt_conntrack', 'net/netfilter/xt_addrtype'],
  ...['net/netfilter/xt_multiport', 'net/netfilter/xt_statistic', 'net/netfilter/xt_mark'],
  ...['net/netfilter/xt_MASQUERADE', 'net/netfilter/ipset/ip_set', 'net/netfilter/xt_set'],
];
const OPTIONS = [
  ...['NAMESPACES', 'NET_NS', 'PID_NS', 'IPC_NS', 'UTS_NS', 'CGROUPS', 'CGROUP_PIDS'],
  ...['CGROUP_DEVICE', 'CGROUP_FREEZER', 'CPUSETS', 'MEMCG', 'CGROUP_SCHED', 'CFS_BANDWIDTH'],
  ...['KEYS', 'POSIX_MQUEUE', 'SECCOMP', 'INET', 'UNIX'],
];

/** As the kernel shows its routes (proc(5)). */
const DEFAULT_ROUTE = 'Iface Destination Gateway\neth0 00000000 0100000A 0003 0 0 0 00000000\n';

export interface TreeOptions {
  /** Of /etc/os-release. */
  readonly os: string;
  readonly kernel?: string;
  readonly cgroups?: 'v2' | 'v1' | 'hybrid' | 'none';
  readonly controllers?: string;
  /** Kernel modules that are not there, by name. */
  readonly withoutModules?: readonly string[];
  readonly modulesEnd?: string;
  /** Where it is readable: `/boot/config-RELEASE`. */
  readonly kernelConfig?: string;
  /** Options that the kernel was made without. */
  readonly withoutOptions?: readonly string[];
  /** Lines of /proc/self/mounts beside those of every machine: `/usr ext4 ro`. */
  readonly mounts?: readonly string[];
  readonly more?: Tree;
}

/** All that the checks read of a machine on which they find nothing, but for what the options say. */
export function machineTree(options: TreeOptions): Tree {
  const { kernel = '6.1.0-28-amd64', cgroups = 'v2', modulesEnd = '.ko' } = options;
  const modules = MODULES.filter(
    (path) => !(options.withoutModules ?? []).includes(path.split('/').at(-1) ?? ''),
  );
  const named = OPTIONS.filter((name) => !(options.withoutOptions ?? []).includes(name));
  const config = options.kernelConfig ?? `/boot/config-${kernel}`;
  return {
    '/etc/os-release': options.os,
    '/etc/machine-id': '3f5a9e0c7b1d4e6f8a2b4c6d8e0f1a2b\n',
    '/proc/sys/kernel/osrelease': `${kernel}\n`,
    '/proc/cmdline': `BOOT_IMAGE=/boot/vmlinuz-${kernel} root=/dev/sda1 ro quiet\n`,
    '/proc/cpuinfo': [0, 1, 2, 3].map(cpu).join('\n'),
    '/proc/meminfo': 'MemTotal:        4000000 kB\nMemAvailable:    3000000 kB\n',
    '/proc/net/route': DEFAULT_ROUTE,
    '/proc/net/tcp': 'sl local_address\n',
    '/proc/net/udp': 'sl local_address\n',
    '/etc/resolv.conf': 'nameserver 10.0.0.2\n',
    '/proc/swaps': 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n',
    '/proc/modules': 'ext4 1 1 - Live 0x0\n',
    '/proc/filesystems': 'nodev\tsysfs\nnodev\ttmpfs\n\text4\n',
    '/proc/sys/fs/inotify/max_user_instances': '1024\n',
    '/proc/sys/fs/inotify/max_user_watches': '524288\n',
    '/proc/self/mounts': mountTable(cgroups, options.mounts ?? []),
    ...(cgroups === 'v2'
      ? { '/sys/fs/cgroup/cgroup.controllers': `${options.controllers ?? CONTROLLERS}\n` }
      : {}),
    [`/lib/modules/${kernel}/modules.dep`]: modules
      .map((path) => `kernel/${path}${modulesEnd}: kernel/lib/x${modulesEnd}\n`)
      .join(''),
    [`/lib/modules/${kernel}/modules.builtin`]: 'kernel/fs/ext4/ext4.ko\n',
    [config]: named.map((name) => `CONFIG_${name}=y\n`).join(''),
    '/dev/kmsg': '',
    '/run/systemd/system/.keep': '',
    ...options.more,
  };
}

/** Of a machine on which the checks find nothing. */
export const DEBIAN_12: TreeOptions = {
  os: `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
`,
};

function cpu(number: number): string {
  return `processor\t: ${number}\nflags\t\t: fpu sse4_2 avx\n`;
}

/** Writes them below a root. */
export async function putTree(root: string, tree: Tree): Promise<void> {
  for (const [path, content] of Object.entries(tree)) {
    const at = join(root, path);
    await mkdir(dirname(at), { recursive: true });
    await (typeof content === 'string' ? writeFile(at, content) : symlink(content.link, at));
  }
}

const V1_CONTROLLERS = ['cpuset', 'cpu,cpuacct', 'memory', 'devices', 'freezer', 'pids'];

function mountTable(cgroups: string, more: readonly string[]): string {
  const v1 = V1_CONTROLLERS.map((names) => `/sys/fs/cgroup/${names} cgroup rw,${names}`);
  const ofCgroups: Readonly<Record<string, readonly string[]>> = {
    v2: ['/sys/fs/cgroup cgroup2 rw'],
    v1: ['/sys/fs/cgroup tmpfs ro', '/sys/fs/cgroup/systemd cgroup rw,name=systemd', ...v1],
    hybrid: ['/sys/fs/cgroup tmpfs ro', '/sys/fs/cgroup/unified cgroup2 rw', ...v1],
    none: [],
  };
  const lines = ['/ ext4 rw', '/proc proc rw', '/sys sysfs rw', ...(ofCgroups[cgroups] ?? [])];
  return [...lines, ...more]
    .map((line) => {
      const [path, type, options = 'rw'] = line.split(' ');
      return `/dev/x ${path} ${type} ${options},relatime 0 0\n`;
    })
    .join('');
}
