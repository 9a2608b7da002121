import type { Fact } from './fact.ts';

/** What holds the packages of the system, where something does. */
export interface PackageLock {
  /** `unattended-upgr`; undefined where it cannot be seen. */
  readonly program: string | undefined;
  readonly pid: number;
  readonly path: string;
}

/** Of dpkg, apt and rpm (dnf, zypper): locked as long as one of them works. */
const LOCKS = [
  ...['/var/lib/dpkg/lock-frontend', '/var/lib/dpkg/lock', '/var/lib/rpm/.rpm.lock'],
  ...['/usr/lib/sysimage/rpm/.rpm.lock', '/var/lib/apt/lists/lock'],
];

export const packageLock: Fact<PackageLock | undefined> = {
  id: 'package-lock',
  read: async ({ files }) => {
    const locks = ((await files.readText('/proc/locks')) ?? '').split('\n').map((line) => {
      // `1: POSIX  ADVISORY  WRITE 812 08:01:4711 0 EOF` (proc_locks(5))
      const [, , , , pid = '', place = ''] = line.trim().split(/\s+/);
      return { pid: Number(pid), inode: Number(place.split(':')[2]) };
    });
    for (const path of LOCKS) {
      const inode = (await files.stat(path))?.inode;
      const lock = locks.find((each) => each.inode === inode && each.pid > 0);
      if (lock !== undefined) {
        const program = (await files.readText(`/proc/${lock.pid}/comm`))?.trim();
        return { path, pid: lock.pid, program };
      }
    }
    return undefined;
  },
};
