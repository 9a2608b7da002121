import { container } from '../facts/container.ts';
import { type Distribution, distribution } from '../facts/distribution.ts';
import { type Check, EVERYWHERE, type Finding } from './check.ts';

interface Known {
  readonly name: string;
  /** From this version on it is supported; absent where it never is. */
  readonly supported?: string;
  /** From this version on it should work. */
  readonly works?: string;
  /** What to know, or what works there instead. */
  readonly note: string;
}

const EL = { supported: '9', works: '8', note: 'Use version 9 or newer' } as const;
const ROLLING = { works: '0', note: 'It changes daily; k3s is not tested on it' } as const;
const SUSE = {
  works: '15.4',
  note: 'k3s itself is tested on it: docs.k3s.io, "Requirements"',
} as const;
const ELSEWHERE = 'Use Debian 12, Ubuntu 22.04, RHEL 9 or newer';

/** By ID of os-release(5). */
const KNOWN: Readonly<Record<string, Known>> = {
  debian: { name: 'Debian', supported: '12', works: '11', note: 'Use Debian 12 or newer' },
  ubuntu: { name: 'Ubuntu', supported: '22.04', works: '20.04', note: 'Use 22.04 or newer' },
  raspbian: {
    name: '32-bit Raspberry Pi OS',
    note: 'Use Raspberry Pi OS (64-bit), which calls itself Debian',
  },
  rhel: { name: 'RHEL', ...EL },
  rocky: { name: 'Rocky Linux', ...EL },
  almalinux: { name: 'AlmaLinux', ...EL },
  ol: { name: 'Oracle Linux', ...EL },
  centos: { name: 'CentOS', ...EL, note: 'Use CentOS Stream 9 or newer' },
  fedora: { name: 'Fedora', works: '40', note: 'Each version is maintained for a year only' },
  amzn: {
    name: 'Amazon Linux',
    works: '2023',
    note: 'Use Amazon Linux 2023; 2 has a systemd and a cgroup v1 that Kubernetes has left behind',
  },
  sles: { name: 'SLES', ...SUSE },
  sled: { name: 'SLED', ...SUSE },
  'opensuse-leap': { name: 'openSUSE Leap', ...SUSE },
  'sle-micro': { name: 'SLE Micro', works: '5.3', note: SUSE.note },
  'sl-micro': { name: 'SL Micro', works: '6.0', note: SUSE.note },
  'opensuse-tumbleweed': { name: 'openSUSE Tumbleweed', ...ROLLING },
  'opensuse-microos': { name: 'openSUSE MicroOS', ...ROLLING },
  arch: { name: 'Arch Linux', ...ROLLING },
  archarm: { name: 'Arch Linux ARM', ...ROLLING },
  alpine: {
    name: 'Alpine Linux',
    note: `It has no systemd. ${ELSEWHERE}; k3s alone runs there with OpenRC`,
  },
  nixos: {
    name: 'NixOS',
    note: `Its configuration makes units and /etc, and takes away what others put there. ${ELSEWHERE}; k3s alone runs there by "services.k3s.enable = true"`,
  },
  flatcar: {
    name: 'Flatcar',
    works: '0',
    note: 'Something writable is laid over its /usr/local (see the check "read-only-places"). It was not tried on it',
  },
  gentoo: { name: 'Gentoo', ...ROLLING },
};

export const knownDistribution: Check = {
  id: 'distribution',
  title: 'Distribution',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'Only of supported ones it is known that they have what the agent and k3s need.',
  remedy: `Supported: Debian 12, Ubuntu 22.04, RHEL, Rocky, Alma and Oracle Linux 9, CentOS Stream 9,
and newer. Raspberry Pi OS (64-bit) is Debian. These should work and are a warning: Debian 11,
Ubuntu 20.04, version 8 of RHEL and its relatives, Fedora, Amazon Linux 2023, SLES and openSUSE
(also MicroOS), Arch, Fedora CoreOS, Flatcar. These cannot: Alpine and others without systemd, NixOS,
CentOS 7, Amazon Linux 2. On macOS and Windows use a virtual machine with one of the first.`,
  needs: [distribution, container],
  run: async (facts) => {
    const found = await facts(distribution);
    if (found.id === '') {
      return { notChecked: 'there is no /etc/os-release' };
    }
    const known = KNOWN[found.id];
    const finding = known === undefined ? unknown(found) : judge(found, known);
    return finding === undefined && (await facts(container)) === 'wsl'
      ? {
          ...aWarning(`${found.name} in WSL should work, but is not supported`),
          hint: 'Its machine ends with the last window, and its address changes: use it to try things',
        }
      : finding;
  },
};

function judge(found: Distribution, known: Known): Finding | undefined {
  const isFrom = (version: string | undefined) =>
    version !== undefined && (found.version === '' || isAtLeast(found.version, version));
  if (isFrom(known.supported)) {
    return undefined;
  }
  const name = found.name || known.name;
  return isFrom(known.works)
    ? { ...aWarning(`${name} should work, but is not supported`), hint: known.note }
    : {
        code: 'HOST_UNSUPPORTED',
        message: `${name} cannot be a node`,
        hint: known.note,
      };
}

function unknown({ id, like, name }: Distribution): Finding {
  const relative = like.map((each) => KNOWN[each]?.name).find((each) => each !== undefined);
  return {
    ...aWarning(`${name || id} is not known here`),
    hint:
      relative === undefined
        ? `It may work. ${ELSEWHERE}`
        : `It should work as ${relative}, of which it is made, does`,
  };
}

function aWarning(message: string): Pick<Finding, 'code' | 'message' | 'onlyWarns'> {
  return { code: 'HOST_UNSUPPORTED', message, onlyWarns: true };
}

function isAtLeast(version: string, wanted: string): boolean {
  const given = version.split('.').map(Number);
  for (const [index, part] of wanted.split('.').map(Number).entries()) {
    const own = given[index] ?? 0;
    if (own !== part) {
      return own > part;
    }
  }
  return true;
}
