/** Whether the system's package manager is busy, and with whom. */
import { AgentError } from '../../core/errors.ts';
import type { Clock, Files } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import { interrupted } from './interrupted.ts';

/** Updates at the first boot of a cloud machine take minutes. */
const WAIT_LIMIT_MS = 10 * 60_000;
const LOOK_EVERY_MS = 1_000;
/** They hold the number of the process that has the packages locked (dnf, yum and zypper). */
const PID_FILES = [
  ...[
    '/var/lib/dnf/rpmdb_lock.pid',
    '/var/cache/dnf/metadata_lock.pid',
    '/var/cache/dnf/download_lock.pid',
  ],
  ...['/run/yum.pid', '/run/zypp.pid'],
];
/** The kernel knows who has them locked: dpkg, apt and rpm, the last one for each that works with it. */
const LOCKED_FILES = [
  ...['/var/lib/dpkg/lock-frontend', '/var/lib/dpkg/lock', '/var/lib/rpm/.rpm.lock'],
  ...['/usr/lib/sysimage/rpm/.rpm.lock', '/var/lib/apt/lists/lock'],
];

/** The process that has the packages of the system locked. */
export interface PackageHolder {
  /** `unattended-upgr`; undefined where it cannot be seen. */
  readonly program: string | undefined;
  readonly pid: number;
}

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
}

/**
 * Waits until nobody has the packages locked.
 * @param update is told who holds it
 * @throws AgentError BUSY after 10 min, with the holder's name; INTERRUPTED
 */
export async function waitForPackages(
  deps: Deps,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const pace = { everyMs: LOOK_EVERY_MS, limitMs: WAIT_LIMIT_MS };
  const end = await pollUntil(deps.clock, pace, signal, async () => {
    const holder = await packageHolder(deps.files);
    if (holder === undefined) {
      return { found: true };
    }
    update(`waiting for ${holderName(holder)}, which has the system's packages locked`);
    return { soFar: holderName(holder) };
  });
  if (end.kind === 'aborted') {
    throw interrupted("while waiting for the system's packages");
  }
  if (end.kind === 'late') {
    throw new AgentError('BUSY', `${end.soFar} has the system's packages locked for too long`, {
      hint: 'Let it end, or end it; then run the same command again',
    });
  }
}

/** @returns undefined where nobody has them locked */
export async function packageHolder(files: Files): Promise<PackageHolder | undefined> {
  return (await holderByPid(files)) ?? (await holderByLock(files));
}

/** `dnf-automatic (pid 812)` */
export function holderName({ program = 'a process', pid }: PackageHolder): string {
  return `${program} (pid ${pid})`;
}

/** A process that is gone holds nothing. */
async function holderByPid(files: Files): Promise<PackageHolder | undefined> {
  for (const path of PID_FILES) {
    const pid = (await files.readText(path))?.trim() ?? '';
    const program = /^\d+$/.test(pid) ? await programOf(files, Number(pid)) : undefined;
    if (program !== undefined) {
      return { program, pid: Number(pid) };
    }
  }
  return undefined;
}

async function holderByLock(files: Files): Promise<PackageHolder | undefined> {
  const locks = ((await files.readText('/proc/locks')) ?? '').split('\n').map((line) => {
    // `1: POSIX  ADVISORY  WRITE 812 08:01:4711 0 EOF` (proc_locks(5))
    const [, , , , pid = '', place = ''] = line.trim().split(/\s+/);
    return { pid: Number(pid), inode: Number(place.split(':')[2]) };
  });
  for (const path of LOCKED_FILES) {
    const inode = (await files.stat(path))?.inode;
    const lock = locks.find((each) => each.inode === inode && each.pid > 0);
    if (lock !== undefined) {
      return { program: await programOf(files, lock.pid), pid: lock.pid };
    }
  }
  return undefined;
}

async function programOf(files: Files, pid: number): Promise<string | undefined> {
  return (await files.readText(`/proc/${pid}/comm`))?.trim();
}
