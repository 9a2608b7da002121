import { container } from '../facts/container.ts';
import { distribution } from '../facts/distribution.ts';
import { type Kernel, kernel } from '../facts/kernel.ts';
import { type Check, EVERYWHERE } from './check.ts';

/** What is needed may have been there under any of these names. */
interface Needed {
  readonly modules: readonly string[];
  readonly option: string;
  /** `the pods' network` */
  readonly purpose: string;
}

const need = (modules: string, option: string, purpose: string): Needed => ({
  modules: modules.split(' '),
  option: `CONFIG_${option}`,
  purpose,
});

/** `k3s check-config` asks for the same (contrib/util/check-config.sh). */
const MODULES: readonly Needed[] = [
  need('overlay', 'OVERLAY_FS', 'images'),
  need('bridge', 'BRIDGE', "the pods' network"),
  need('br_netfilter', 'BRIDGE_NETFILTER', "the pods' network"),
  need('veth', 'VETH', "the pods' network"),
  need('vxlan', 'VXLAN', 'traffic between machines'),
  need('nf_conntrack', 'NF_CONNTRACK', 'Services'),
  need('nf_nat', 'NF_NAT', 'Services'),
  need('xt_comment', 'NETFILTER_XT_MATCH_COMMENT', 'Services'),
  need('xt_conntrack', 'NETFILTER_XT_MATCH_CONNTRACK', 'Services'),
  need('xt_addrtype', 'NETFILTER_XT_MATCH_ADDRTYPE', 'Services'),
  need('xt_multiport', 'NETFILTER_XT_MATCH_MULTIPORT', 'Services'),
  need('xt_statistic', 'NETFILTER_XT_MATCH_STATISTIC', 'Services'),
  need('xt_mark', 'NETFILTER_XT_MARK', 'Services'),
  need('xt_MASQUERADE ipt_MASQUERADE', 'NETFILTER_XT_TARGET_MASQUERADE', 'Services'),
  need('ip_set', 'IP_SET', 'network policies'),
  need('xt_set', 'NETFILTER_XT_SET', 'network policies'),
];

/** What a kernel has or has not; there are no modules for it. */
const OPTIONS: readonly string[] = [
  ...['NAMESPACES', 'NET_NS', 'PID_NS', 'IPC_NS', 'UTS_NS', 'CGROUPS', 'CGROUP_PIDS'],
  ...['CGROUP_DEVICE', 'CGROUP_FREEZER', 'CPUSETS', 'MEMCG', 'CGROUP_SCHED', 'CFS_BANDWIDTH'],
  ...['KEYS', 'POSIX_MQUEUE', 'SECCOMP', 'INET', 'UNIX'],
].map((name) => `CONFIG_${name}`);

export const kernelOptions: Check = {
  id: 'kernel-options',
  title: 'Kernel options',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'Containers are made of these parts of the kernel, and k3s does not start without them.',
  remedy: `Use the kernel of the distribution. A small one of a hosting provider or of a board may lack them.
The configuration is read from \`/proc/config.gz\`, \`/boot/config-*\` or \`/lib/modules/*/config\`.`,
  needs: [kernel],
  run: async (facts) => {
    const { options, release } = await facts(kernel);
    if (options === undefined) {
      return { notChecked: `the configuration of kernel ${release} is nowhere to be read` };
    }
    const missing = OPTIONS.filter((option) => !options.has(option));
    return missing.length === 0
      ? undefined
      : {
          code: 'HOST_UNSUPPORTED',
          message: `The kernel ${release} is made without ${missing.join(', ')}`,
          hint: 'Use a kernel that has them: that of the distribution does',
          details: { missing },
        };
  },
};

export const kernelModules: Check = {
  id: 'kernel-modules',
  title: 'Kernel modules',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'k3s makes the network of pods and Services with these; without one, pods start but reach nothing.',
  remedy: `Install the package that the finding names: \`linux-modules-extra-…\` on Ubuntu,
\`kernel-modules-extra\` on RHEL 10 and its relatives. After an update of the kernel the running one has
lost its modules: restart. In a container the modules are loaded on the host.`,
  needs: [kernel, distribution, container],
  run: async (facts) => {
    const found = await facts(kernel);
    const inside = await facts(container);
    if (found.isReplaced && inside === undefined) {
      return {
        code: 'HOST_UNSUPPORTED',
        message: `The modules of the running kernel ${found.release} are gone: another one was installed`,
        hint: 'Restart this machine',
        fix: 'sudo reboot',
      };
    }
    const states = MODULES.map((needed) => ({ ...needed, state: stateOf(found, needed) }));
    const missing = states.filter(({ state }) => state === 'missing');
    if (missing.length === 0) {
      const open = states.filter(({ state }) => state === 'unknown').map(nameOf);
      return open.length === 0
        ? undefined
        : { notChecked: `nothing tells whether the kernel has ${open.join(', ')}` };
    }
    const list = missing.map((each) => `${nameOf(each)} (for ${each.purpose})`).join(', ');
    const advice = packageAdvice((await facts(distribution)).id, found.release);
    return {
      code: 'HOST_UNSUPPORTED',
      message: `The kernel has no ${list}`,
      hint:
        inside === undefined
          ? advice.hint
          : `Load them on the host of this container (${inside}): modprobe`,
      ...(inside === undefined && advice.fix !== undefined ? { fix: advice.fix } : {}),
      details: { missing: missing.map(nameOf) },
    };
  },
};

function nameOf({ modules }: Needed): string {
  return modules[0] ?? '';
}

function stateOf(found: Kernel, { modules, option }: Needed): 'there' | 'missing' | 'unknown' {
  const has = (names: ReadonlySet<string> | undefined) =>
    names !== undefined && modules.some((name) => names.has(name));
  const isBuiltIn = found.options?.get(option) === 'y';
  if (has(found.present) || has(found.fileSystems) || isBuiltIn || has(found.loadable)) {
    return 'there';
  }
  if (found.loadable === undefined && found.options?.get(option) !== undefined) {
    return 'unknown'; // A module, of which nobody tells whether it is on this disk.
  }
  return found.loadable === undefined && found.options === undefined ? 'unknown' : 'missing';
}

function packageAdvice(
  id: string,
  release: string,
): { readonly hint: string; readonly fix?: string } {
  if (id === 'ubuntu') {
    return {
      hint: 'Install the rest of its modules',
      fix: `sudo apt-get install linux-modules-extra-${release}`,
    };
  }
  if (['rhel', 'rocky', 'almalinux', 'ol', 'centos', 'fedora'].includes(id)) {
    return {
      hint: 'Install the rest of its modules, and restart when that brings a newer kernel',
      fix: `sudo dnf install kernel-modules-extra-${release}`,
    };
  }
  return { hint: 'Install a kernel that has them: that of the distribution does' };
}
