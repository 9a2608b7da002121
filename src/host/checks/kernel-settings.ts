import { clusterNetworks } from '../facts/cluster-networks.ts';
import { container } from '../facts/container.ts';
import { kernelSettings } from '../facts/kernel-settings.ts';
import { KERNEL_MODULES_ID } from '../kernel/modules-file.ts';
import {
  BRIDGE_SETTING,
  FORWARDING,
  FORWARDING_IPV6,
  INOTIFY_LIMITS,
  type KernelSetting,
} from '../kernel/settings.ts';
import { type Check, EVERYWHERE, FIX_BY_DOCTOR, type Finding, type NotChecked } from './check.ts';

export const inotifyLimits: Check = {
  id: 'inotify-limits',
  title: 'Inotify limits',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'All containers share them; when they are used up, pods and "kubectl logs -f" end with "too many open files".',
  remedy:
    '`sudo pipeops-agent doctor --fix` sets them, now and at each start, in a file of /etc/sysctl.d.',
  repair: INOTIFY_LIMITS.id,
  needs: [kernelSettings, container],
  run: async (facts) => {
    const found = tooLow(await facts(kernelSettings), INOTIFY_LIMITS.settings);
    const inside = await facts(container);
    return found !== undefined && 'code' in found && inside !== undefined
      ? { ...found, hint: `Set it on the host of this container (${inside})`, fix: onHost() }
      : found;
  },
};

export const forwarding: Check = {
  id: 'forwarding',
  title: 'Forwarding',
  severity: 'blocks',
  cost: 'cheap',
  roles: ['server', 'worker'],
  why: 'Without it the kernel drops what pods send to other machines and Services.',
  remedy: `Something has turned off what k3s turns on at its start: a file in \`/etc/sysctl.d\`, or a hardening
script. \`sudo pipeops-agent doctor --fix\` sets it, now and at each start, in a file that comes last there.`,
  repair: FORWARDING.id,
  needs: [kernelSettings],
  run: async (facts) => tooLow(await facts(kernelSettings), FORWARDING.settings),
};

export const forwardingIpv6: Check = {
  id: 'forwarding-ipv6',
  title: 'Forwarding of IPv6',
  severity: 'blocks',
  cost: 'dear',
  roles: ['server', 'worker'],
  why: 'Without it the kernel drops what pods with IPv6 send to other machines and Services.',
  remedy: `As for \`forwarding\`, and only where pods have IPv6. Where a router tells this machine its default route, see
the check \`router-advertisements\` first.`,
  repair: FORWARDING_IPV6.id,
  needs: [kernelSettings, clusterNetworks],
  run: async (facts) => {
    const { pods } = await facts(clusterNetworks);
    return pods.some(({ version }) => version === 6)
      ? tooLow(await facts(kernelSettings), FORWARDING_IPV6.settings)
      : undefined;
  },
};

export const bridgeNetfilter: Check = {
  id: 'bridge-netfilter',
  title: 'Packets between pods',
  severity: 'blocks',
  cost: 'cheap',
  roles: ['server', 'worker'],
  why: 'Without the kernel module br_netfilter, what pods of one machine send to a Service gets no answer.',
  remedy: `k3s loads it at its start, where it may. \`sudo pipeops-agent doctor --fix\` loads it, now and at each
start, by a file of /etc/modules-load.d. Without that file it stays loaded until the next start.`,
  repair: KERNEL_MODULES_ID,
  needs: [kernelSettings, container],
  run: async (facts) => {
    if ((await facts(kernelSettings)).has(BRIDGE_SETTING)) {
      return undefined;
    }
    const inside = await facts(container);
    const finding = { code: 'CHECK_FAILED', message: 'br_netfilter is not loaded' } as const;
    return inside === undefined
      ? { ...finding, hint: 'Load it, now and at each start', fix: FIX_BY_DOCTOR }
      : {
          ...finding,
          hint: `Load it on the host of this container (${inside})`,
          fix: 'sudo modprobe br_netfilter',
        };
  },
};

/** There are none of its own in a container. */
function onHost(): string {
  return INOTIFY_LIMITS.settings
    .map(({ name, wanted }) => `sudo sysctl -w ${name}=${wanted}`)
    .join('\n');
}

function tooLow(
  values: ReadonlyMap<string, number>,
  settings: readonly KernelSetting[],
): Finding | NotChecked | undefined {
  const low = settings.filter(({ name, enough }) => (values.get(name) ?? enough) < enough);
  if (low.length === 0) {
    return settings.some(({ name }) => values.has(name))
      ? undefined
      : { notChecked: `this kernel does not tell ${settings.map(({ name }) => name).join(', ')}` };
  }
  const list = low.map(({ name, enough }) => `${name} is ${values.get(name)}, not ${enough}`);
  return {
    code: 'CHECK_FAILED',
    message: `Too low: ${list.join('; ')}`,
    hint: 'Set it, now and at each start',
    fix: FIX_BY_DOCTOR,
    details: { settings: Object.fromEntries(low.map(({ name }) => [name, values.get(name)])) },
  };
}
