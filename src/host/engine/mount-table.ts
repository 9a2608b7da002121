/** What is mounted on this machine. */
import type { Files } from '../../core/ports.ts';

/** A node with many pods has thousands of lines. */
const TABLE_LIMIT_BYTES = 16 * 1024 * 1024;

export interface Mount {
  readonly path: string;
  /** `ext4`, `overlay`, `cgroup2`, … */
  readonly type: string;
  /** Of the mount and of its file system: `ro`, `noexec`, `memory`. */
  readonly options: ReadonlySet<string>;
}

/** In the order in which they were mounted; the last one at a path is what is seen (proc_pid_mounts(5)). */
export async function readMounts(files: Files): Promise<readonly Mount[]> {
  const table = (await files.readText('/proc/self/mounts', TABLE_LIMIT_BYTES)) ?? '';
  return table.split('\n').flatMap((line) => {
    // `/dev/sda1 /var ext4 rw,noexec,relatime 0 0` (fstab(5))
    const [, path, type = '', options = ''] = line.split(' ');
    return path === undefined
      ? []
      : [{ path: unescaped(path), type, options: new Set(options.split(',')) }];
  });
}

/** The mount that a path is on. */
export function mountOf(all: readonly Mount[], path: string): Mount | undefined {
  const holds = (at: string) => at === '/' || path === at || path.startsWith(`${at}/`);
  return all
    .filter((mount) => holds(mount.path))
    .reduce<Mount | undefined>(
      (best, mount) => (mount.path.length >= (best?.path.length ?? 0) ? mount : best),
      undefined,
    );
}

/** Blanks and the like are written as `\040`. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
