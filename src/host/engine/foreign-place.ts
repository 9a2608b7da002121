import { dirname } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';

/** Of a directory where everybody may put things, as /tmp: only their owners may take them away. */
const OPEN_TO_ALL = 0o1002;

interface Deps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly files: Files;
  readonly uid: number;
}

/**
 * In a directory that is open to all, what somebody else has put there waits to read a secret, or to change
 * what is written. As the kernel refuses it to who opens such a file (proc_sys_fs(5), "protected_regular",
 * "protected_symlinks"). The person who uses sudo counts as root.
 * @param path absolute
 * @throws AgentError FILE_ACCESS
 */
export async function refuseForeignPlace({ env, files, uid }: Deps, path: string): Promise<void> {
  const own = [uid, Number(env['SUDO_UID'] ?? uid)];
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    const [stat, parent] = await Promise.all([files.stat(at), files.stat(dirname(at))]);
    const isOpen = ((parent?.mode ?? 0) & OPEN_TO_ALL) === OPEN_TO_ALL;
    if (stat !== undefined && isOpen && ![...own, parent?.uid].includes(stat.uid)) {
      throw new AgentError(
        'FILE_ACCESS',
        `${at} belongs to somebody else, in a directory that is open to all`,
        { hint: 'Name another place with --output' },
      );
    }
  }
}
