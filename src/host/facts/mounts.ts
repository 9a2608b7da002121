import type { Fact } from './fact.ts';

const MOUNTINFO_LIMIT_BYTES = 16 * 1024 * 1024;

export interface Mount {
  readonly path: string;
  /** `ext4`, `overlay`, `cgroup2`, … */
  readonly type: string;
  /** Of the mount and of its file system: `ro`, `noexec`, `memory`. */
  readonly options: ReadonlySet<string>;
}

/** In the order in which they were mounted; the last one at a path is what is seen (proc_pid_mountinfo(5)). */
export const mounts: Fact<readonly Mount[]> = {
  id: 'mounts',
  read: async ({ files }) => {
    const text = (await files.readText('/proc/self/mountinfo', MOUNTINFO_LIMIT_BYTES)) ?? '';
    return text.split('\n').flatMap((line) => {
      const [before = '', after] = line.split(' - ');
      const [, , , , path, options = ''] = before.split(' ');
      const [type = '', , ofFileSystem = ''] = after?.split(' ') ?? [];
      return path === undefined || after === undefined
        ? []
        : [
            {
              path: unescaped(path),
              type,
              options: new Set([...options.split(','), ...ofFileSystem.split(',')]),
            },
          ];
    });
  },
};

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

/** Blanks and the like stand there as `\040`. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
