/**
 * Whether test machines can run on this host. As a program: exit code 0, or the reason on stdout
 * and exit code 1.
 */

import { readFile } from 'node:fs/promises';
import { runCommand } from './host-command.ts';

/** Oldest releases whose systemd-nspawn and debootstrap are new enough. */
const OLDEST_RELEASE: Readonly<Record<string, number>> = { debian: 12, ubuntu: 22.04 };

/** The toolchain that compiles the k3s for tests. */
const OLDEST_GO = { major: 1, minor: 24 };

/** CAP_SYS_ADMIN (capabilities(7)) in the mask of /proc/self/status: mounts and namespaces. */
const CAP_SYS_ADMIN = 1n << 21n;

/** @returns why machines cannot run here and what to do about it, or undefined when they can. */
export async function reasonMachinesCannotRun(): Promise<string | undefined> {
  if (process.platform !== 'linux') {
    return `test machines need Linux, this is ${process.platform}`;
  }
  if (process.getuid?.() !== 0) {
    return 'test machines need root: run this with sudo';
  }
  if (!(await hasSysAdmin())) {
    return 'test machines need CAP_SYS_ADMIN: run this on a VM or in a privileged container';
  }
  return (await unsuitableRelease()) ?? (await unsuitableGo());
}

async function hasSysAdmin(): Promise<boolean> {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1];
  return mask !== undefined && (BigInt(`0x${mask}`) & CAP_SYS_ADMIN) !== 0n;
}

async function unsuitableRelease(): Promise<string | undefined> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  const oldest = OLDEST_RELEASE[field('ID')];
  if (oldest === undefined || Number(field('VERSION_ID')) < oldest) {
    const here = field('PRETTY_NAME') || 'an unknown system';
    return `test machines need Debian 12 or Ubuntu 22.04 or newer, this is ${here}`;
  }
  return undefined;
}

async function unsuitableGo(): Promise<string | undefined> {
  const wanted = `Go ${OLDEST_GO.major}.${OLDEST_GO.minor} or newer`;
  const how = `install ${wanted} from https://go.dev/dl/ and put its bin directory on PATH`;
  if (Bun.which('go') === null) {
    return `the k3s for tests needs ${wanted}, and there is no 'go' on PATH: ${how}`;
  }
  const { stdout } = await runCommand(['go', 'env', 'GOVERSION']);
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(stdout) ?? [];
  if (Number(major) !== OLDEST_GO.major || Number(minor) < OLDEST_GO.minor) {
    return `the k3s for tests needs ${wanted}, here is ${stdout.trim()}: ${how}`;
  }
  return undefined;
}

if (import.meta.main) {
  const reason = await reasonMachinesCannotRun();
  if (reason !== undefined) {
    process.stdout.write(`${reason}\n`);
    process.exitCode = 1;
  }
}
