/** Settings of the kernel that `doctor --fix` sets: what is enough, and what is set instead. */
import type { Files } from '../../core/ports.ts';

export interface KernelSetting {
  /** As sysctl(8) calls it. */
  readonly name: string;
  /** From this value on nothing is found. */
  readonly enough: number;
  readonly wanted: number;
}

export interface KernelSettingGroup {
  /** Of the resource. */
  readonly id: string;
  /** What is done, for a person. */
  readonly title: string;
  /** Read at each start (sysctl.d(5)); behind those of others, of which the last one counts. */
  readonly path: string;
  readonly settings: readonly KernelSetting[];
}

/** The kernel's own 128 instances are used up by some 40 containers. */
export const INOTIFY_LIMITS: KernelSettingGroup = {
  id: 'inotify-limits',
  title: 'Raise the limits of inotify',
  path: '/etc/sysctl.d/zz-pipeops-inotify.conf',
  settings: [
    { name: 'fs.inotify.max_user_instances', enough: 256, wanted: 1_024 },
    { name: 'fs.inotify.max_user_watches', enough: 65_536, wanted: 524_288 },
  ],
};

/** There once br_netfilter is loaded. */
export const BRIDGE_SETTING = 'net.bridge.bridge-nf-call-iptables';

export const FORWARDING: KernelSettingGroup = {
  id: 'forwarding',
  title: 'Let the kernel forward what pods send',
  path: '/etc/sysctl.d/zz-pipeops-forwarding.conf',
  settings: [
    { name: 'net.ipv4.ip_forward', enough: 1, wanted: 1 },
    { name: BRIDGE_SETTING, enough: 1, wanted: 1 },
  ],
};

export const FORWARDING_IPV6: KernelSettingGroup = {
  id: 'forwarding-ipv6',
  title: 'Let the kernel forward what pods send by IPv6',
  path: '/etc/sysctl.d/zz-pipeops-forwarding-ipv6.conf',
  settings: [{ name: 'net.ipv6.conf.all.forwarding', enough: 1, wanted: 1 }],
};

export const KERNEL_SETTING_GROUPS: readonly KernelSettingGroup[] = [
  INOTIFY_LIMITS,
  FORWARDING,
  FORWARDING_IPV6,
];

/** Its value now; undefined where this kernel does not have it. */
export async function readSetting(files: Files, name: string): Promise<number | undefined> {
  const text = await files.readText(settingPath(name));
  return text === undefined ? undefined : Number(text.trim());
}

/** Where the kernel has its value. A slash in the name is a dot of the path (sysctl.d(5)). */
export function settingPath(name: string): string {
  return `/proc/sys/${name.replace(/[./]/g, (each) => (each === '.' ? '/' : '.'))}`;
}
