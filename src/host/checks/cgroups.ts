import { K3S_MAIN_CONFIG_FILE } from '../../core/k3s-places.ts';
import { BOOT_LINE_ID } from '../boot/kernel-arguments.ts';
import { bootArguments } from '../facts/boot-arguments.ts';
import { type BootPlace, MEMORY_ARGUMENTS } from '../facts/boot-place.ts';
import { cgroupV1Leave } from '../facts/cgroup-v1-leave.ts';
import { cgroups } from '../facts/cgroups.ts';
import { container } from '../facts/container.ts';
import { k3sVersion } from '../facts/k3s-version.ts';
import { isMemoryGiven } from '../facts/memory-given.ts';
import { type Check, EVERYWHERE, FIX_BY_DOCTOR, type Finding } from './check.ts';

/** Without these no kubelet starts (docs.k3s.io, "Requirements"). */
const NEEDED = ['cpu', 'cpuset', 'memory', 'pids'];
const ADDED = MEMORY_ARGUMENTS.join(' ');
const V2_ARGUMENT = 'systemd.unified_cgroup_hierarchy=1';
/** From this minor version on a kubelet ends at cgroup v1 (kubernetes.io, KEP 5573). */
const REFUSING_MINOR = 35;
const LAST_K3S = 'v1.34.4+k3s1';

export const cgroupControllers: Check = {
  id: 'cgroup-controllers',
  title: 'Control groups',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'The kubelet limits what a pod may use by control groups, and does not start without them.',
  remedy: `The kernel of a Raspberry Pi leaves the one for memory out unless it is told otherwise: add
\`${ADDED}\` to the one line of \`/boot/firmware/cmdline.txt\` (before Debian 12
\`/boot/cmdline.txt\`), or to the command line of another boot loader. \`doctor --fix\` adds that: to the
line of a Raspberry Pi (a copy stays beside it, \`cmdline.txt.before-pipeops\`), to GRUB in a file of its own
in \`/etc/default/grub.d\` or in \`/etc/default/grub\`, or with grubby. It shows the change before its question,
and \`uninstall\` takes it back. It counts from the next start on, and the agent never restarts the machine:
\`sudo reboot\`. On systems whose boot is managed otherwise (rpm-ostree, transactional-update) the lines are
shown. In a container the host decides.`,
  repair: BOOT_LINE_ID,
  needs: [cgroups, container, bootArguments, isMemoryGiven],
  run: async (facts) => {
    const { layout, controllers } = await facts(cgroups);
    const missing = NEEDED.filter((name) => !controllers.has(name));
    if (missing.length === 0) {
      return undefined;
    }
    const message =
      layout === 'none'
        ? 'There are no control groups: nothing is mounted at /sys/fs/cgroup'
        : `These control groups are missing: ${missing.join(', ')}`;
    const inside = await facts(container);
    if (inside !== undefined) {
      return unsupported(message, `Give them to this container (${inside}) on its host`);
    }
    const boot = await facts(bootArguments);
    if (!missing.includes('memory') || layout === 'none') {
      return unsupported(message, 'Use a kernel that has them: that of the distribution does');
    }
    if (await facts(isMemoryGiven)) {
      return unsupported(
        `${message}; the next start of this machine is told to have them`,
        'Restart it',
        'sudo reboot',
      );
    }
    const hint = `Let the kernel have it, ${wordsOf(boot.place)}, and restart`;
    return boot.place.kind === 'by-hand'
      ? unsupported(message, hint, boot.addition(ADDED))
      : unsupported(message, hint, FIX_BY_DOCTOR);
  },
};

function wordsOf(place: BootPlace): string {
  return 'file' in place ? `in ${place.file}` : 'in the configuration of the boot loader';
}

function unsupported(message: string, hint: string, fix?: string): Finding {
  return {
    code: 'HOST_UNSUPPORTED',
    message,
    hint,
    ...(fix === undefined ? {} : { fix }),
  };
}

export const cgroupVersion: Check = {
  id: 'cgroup-version',
  title: 'Control groups, version',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: `Since Kubernetes 1.${REFUSING_MINOR} a kubelet refuses to start where the control groups are of version 1.`,
  remedy: `Three ways out. Either switch to version 2: add \`${V2_ARGUMENT}\` to the arguments of the kernel and
restart; every supported distribution has it by default, so look for an argument
\`systemd.unified_cgroup_hierarchy=0\` that somebody has set. Or take an older Kubernetes:
\`--k3s-version ${LAST_K3S}\`. Or, while Kubernetes still can, give the kubelet leave in
\`${K3S_MAIN_CONFIG_FILE}\`: \`kubelet-arg: [fail-cgroupv1=false]\`. What a check finds and you
know better is only told with \`PIPEOPS_IGNORE_CHECKS=cgroup-version\` (any checks of this page,
comma-separated) in the environment of the installation.`,
  needs: [cgroups, container, bootArguments, cgroupV1Leave],
  run: async (facts) => {
    const { layout } = await facts(cgroups);
    if (layout === 'v2' || layout === 'none') {
      return undefined;
    }
    // Looked for first: to ask k3s for its version takes seconds on a small machine.
    if ((await facts(cgroupV1Leave)) !== undefined) {
      return undefined;
    }
    const version = await facts(k3sVersion);
    const minor = Number(/^v1\.(\d+)\./.exec(version ?? '')?.[1] ?? 0);
    const isRefused = minor >= REFUSING_MINOR;
    const of = layout === 'hybrid' ? 'version 1 (a hybrid)' : 'version 1';
    const inside = await facts(container);
    const boot = await facts(bootArguments);
    return {
      code: 'HOST_UNSUPPORTED',
      message: isRefused
        ? `The control groups are of ${of}, and k3s ${version} refuses them`
        : `The control groups are of ${of}: Kubernetes 1.${REFUSING_MINOR} and newer will refuse them`,
      hint:
        (inside === undefined
          ? 'Switch to version 2 and restart'
          : `Switch the host of this container (${inside}) to version 2`) +
        (isRefused ? `, or take an older Kubernetes with --k3s-version ${LAST_K3S}` : ''),
      ...(inside === undefined ? { fix: boot.addition(V2_ARGUMENT) } : {}),
      ...(isRefused ? {} : { onlyWarns: true as const }),
    };
  },
};
