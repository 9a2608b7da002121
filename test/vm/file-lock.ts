/**
 * Locks between test runs. A child process holds the flock(2) and ends when our end of its pipe
 * closes, so the kernel releases the lock however this process dies: no pid files, nothing stale.
 */

import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface FileLock extends AsyncDisposable {
  release(): Promise<void>;
}

/** What flock exits with when someone else holds the lock. */
const CONFLICT_EXIT_CODE = 75;

/**
 * Takes the lock on `path` (the file is made). The file holds the command line of its holder, so
 * that people can see who it is.
 * @returns undefined when another process held it for all of `waitSeconds` (0: do not wait).
 */
export async function takeLock(path: string, waitSeconds: number): Promise<FileLock | undefined> {
  await mkdir(dirname(path), { recursive: true });
  const wait = waitSeconds === 0 ? ['--nonblock'] : ['--wait', String(waitSeconds)];
  const script = 'echo "$2 $3" > "$1"; echo held; exec cat > /dev/null';
  const holder = ['sh', '-c', script, 'sh', path, String(process.pid), process.argv.join(' ')];
  const child = Bun.spawn(
    ['flock', ...wait, '--conflict-exit-code', String(CONFLICT_EXIT_CODE), path, ...holder],
    { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' },
  );
  const { value } = await child.stdout.getReader().read();
  if (value === undefined) {
    const exitCode = await child.exited;
    if (exitCode === CONFLICT_EXIT_CODE) {
      return undefined;
    }
    throw new Error(`Cannot lock '${path}': flock exited with ${exitCode}`);
  }
  const release = async () => {
    await child.stdin.end();
    await child.exited;
  };
  return { release, [Symbol.asyncDispose]: release };
}
