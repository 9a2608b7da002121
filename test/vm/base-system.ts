/** The file trees that machines are copied from: made once, then kept in the cache. */

import { chmod, copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buildOnce, contentHash } from './cache.ts';
import { runCommand } from './host-command.ts';
import { aptEnvironment } from './packages.ts';
import type { Tell } from './progress.ts';
import { timeLeft } from './time-left.ts';

/**
 * `plain` is a bare VM, `kubernetes` also has what the k3s for tests takes from its host, and `firewalls` ufw
 * and firewalld beside it, both off. They are Debian 12.
 * `debian-13` is `kubernetes` of Debian 13, with GNU wget and without curl.
 */
export type BaseName = 'plain' | 'kubernetes' | 'firewalls' | 'debian-13';

interface Distribution {
  readonly suite: string;
  /** What a cloud image has and the minimal system lacks. */
  readonly packages: readonly string[];
  /** They would run in the middle of a test, on a loaded host, and change files. */
  readonly timersOff: readonly string[];
}

const DEFAULT_MIRROR = 'http://deb.debian.org/debian';
const DEBOOTSTRAP_TIMEOUT_MS = 600_000;
const APT_TIMEOUT_MS = 300_000;

/** What debootstrap and apt-get say of a whole run, lines: what has been said shows how far they are. */
const DEBOOTSTRAP_LINES = 700;
const APT_LINES = 200;

const PLAIN_PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'ca-certificates', 'iproute2', 'iptables'],
  ...['kmod', 'nftables', 'procps', 'sudo'],
];
const TIMERS_OFF = ['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer'];

const DEBIAN_12: Distribution = {
  suite: 'bookworm',
  packages: [...PLAIN_PACKAGES, 'curl'],
  timersOff: [...TIMERS_OFF, 'e2scrub_all.timer'],
};
/** Its systemd boots on cgroup v1 only where that is forced (nspawn.ts). */
const DEBIAN_13: Distribution = {
  suite: 'trixie',
  packages: [...PLAIN_PACKAGES, 'wget'],
  timersOff: TIMERS_OFF,
};

/** k3s brings these itself; the one for tests does not. */
const KUBERNETES_PACKAGES = [
  ...['containerd', 'runc', 'containernetworking-plugins', 'conntrack', 'ebtables', 'ethtool'],
  'socat',
];

const FIREWALL_PACKAGES = ['ufw', 'firewalld'];

/** Moves the clock of one program: that of a machine is the host's. */
const TEST_PACKAGES = ['libfaketime'];

const FILES = [
  { source: 'set-up-machine.sh', to: 'usr/local/lib/test-machine/set-up-machine.sh' },
  { source: 'place-images.sh', to: 'usr/local/lib/test-machine/place-images.sh' },
  { source: 'allow-cgroup-v1.sh', to: 'usr/local/lib/test-machine/allow-cgroup-v1.sh' },
  { source: 'test-machine.service', to: 'usr/lib/systemd/system/test-machine.service' },
  { source: 'before-k3s.conf', to: 'usr/lib/systemd/system/k3s.service.d/before-k3s.conf' },
  { source: 'before-k3s.conf', to: 'usr/lib/systemd/system/k3s-agent.service.d/before-k3s.conf' },
  { source: 'stop-quickly.conf', to: 'usr/lib/systemd/system.conf.d/stop-quickly.conf' },
];

/** Documentation and package archives: what no test reads, so that copies are quick. */
const NOT_NEEDED = [
  ...['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/info'],
  ...['var/cache/apt', 'var/lib/apt/lists', 'var/log/apt', 'var/log/bootstrap.log'],
];

/** The directory of a base system, made when the cache does not have it. Never change it: copy. */
export async function baseSystem(name: BaseName, tell?: Tell): Promise<string> {
  const hash = contentHash(await recipe());
  switch (name) {
    case 'plain':
      return await plainSystem(DEBIAN_12, `base-plain-${hash}`, tell);
    case 'kubernetes': {
      const plain = await baseSystem('plain', tell);
      const make = (directory: string, say: Tell) => makeKubernetes(plain, directory, say);
      return await buildOnce(`base-kubernetes-${hash}`, make, tell);
    }
    case 'debian-13': {
      const plain = await plainSystem(DEBIAN_13, `base-plain-13-${hash}`, tell);
      const make = (directory: string, say: Tell) => makeKubernetes(plain, directory, say);
      return await buildOnce(`base-debian-13-${hash}`, make, tell);
    }
    case 'firewalls': {
      const kubernetes = await baseSystem('kubernetes', tell);
      const make = (directory: string, say: Tell) => makeFirewalls(kubernetes, directory, say);
      return await buildOnce(`base-firewalls-${hash}`, make, tell);
    }
    default:
      return name satisfies never;
  }
}

async function plainSystem(of: Distribution, name: string, tell?: Tell): Promise<string> {
  return await buildOnce(name, (directory, say) => makePlain(of, directory, say), tell);
}

/** This file and what it installs: whatever changes the result changes one of them. */
async function recipe(): Promise<readonly string[]> {
  const sources = [import.meta.path, ...FILES.map((file) => ours(file.source))];
  return await Promise.all(sources.map((path) => Bun.file(path).text()));
}

function ours(source: string): string {
  return join(import.meta.dir, 'base', source);
}

async function makePlain(
  { suite, packages, timersOff }: Distribution,
  directory: string,
  tell: Tell,
): Promise<void> {
  const include = `--include=${packages.join(',')}`;
  const mirror = process.env['PIPEOPS_TEST_DEBIAN_MIRROR'] ?? DEFAULT_MIRROR;
  // Of any suite: a debootstrap that is older than it has no script of its name.
  const script = '/usr/share/debootstrap/scripts/sid';
  await runCommand(
    ['debootstrap', '--variant=minbase', include, suite, directory, mirror, script],
    {
      timeoutMs: DEBOOTSTRAP_TIMEOUT_MS,
      env: aptEnvironment(),
      heard: linesOf(DEBOOTSTRAP_LINES, (left) => tell(`Debian ${suite}: ${left}`)),
    },
  );
  for (const file of FILES) {
    const target = join(directory, file.to);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(ours(file.source), target);
    await chmod(target, file.to.endsWith('.sh') ? 0o755 : 0o644);
  }
  const units = ['test-machine.service', 'systemd-networkd.service'];
  await runCommand(['systemctl', `--root=${directory}`, 'enable', ...units]);
  await runCommand(['systemctl', `--root=${directory}`, 'disable', ...timersOff]);
  await mkdir(join(directory, 'var/log/journal'), { recursive: true }); // outlives a reboot
  await removeWhatIsNotNeeded(directory);
}

async function makeKubernetes(plain: string, directory: string, tell: Tell): Promise<void> {
  await copyWithPackages(plain, directory, [...KUBERNETES_PACKAGES, ...TEST_PACKAGES], (left) =>
    tell(`what Kubernetes needs: ${left}`),
  );
  // k3s runs a containerd of its own.
  await runCommand(['systemctl', `--root=${directory}`, 'disable', 'containerd.service']);
}

async function makeFirewalls(kubernetes: string, directory: string, tell: Tell): Promise<void> {
  await copyWithPackages(kubernetes, directory, FIREWALL_PACKAGES, (left) =>
    tell(`firewalls: ${left}`),
  );
  await runCommand(['systemctl', `--root=${directory}`, 'disable', 'firewalld.service']);
}

async function copyWithPackages(
  base: string,
  directory: string,
  packages: readonly string[],
  tell: Tell,
): Promise<void> {
  await runCommand(['cp', '--archive', '--reflink=auto', `${base}/.`, directory]);
  const guarded = join(directory, 'usr/sbin/policy-rc.d');
  await writeFile(guarded, '#!/bin/sh\nexit 101\n', { mode: 0o755 }); // start no service in a chroot
  for (const file of ['etc/resolv.conf', 'etc/hosts']) {
    await copyFile(`/${file}`, join(directory, file));
  }
  const heard = linesOf(APT_LINES, tell);
  const inside = async (...argv: string[]) =>
    await runCommand(['chroot', directory, ...argv], {
      timeoutMs: APT_TIMEOUT_MS,
      env: aptEnvironment(),
      heard,
    });
  await inside('apt-get', 'update');
  await inside('apt-get', 'install', '--yes', '--no-install-recommends', ...packages);
  await rm(guarded);
  await removeWhatIsNotNeeded(directory);
}

/** Counts lines of which so many are expected. */
function linesOf(expected: number, tell: Tell): () => void {
  const began = performance.now();
  let count = 0;
  return () => {
    count += 1;
    tell(timeLeft(Math.min(count / expected, 1), performance.now() - began));
  };
}

async function removeWhatIsNotNeeded(directory: string): Promise<void> {
  for (const path of NOT_NEEDED) {
    await rm(join(directory, path), { recursive: true, force: true });
  }
  for (const path of ['var/cache/apt/archives/partial', 'var/lib/apt/lists/partial']) {
    await mkdir(join(directory, path), { recursive: true }); // apt insists on them
  }
}
