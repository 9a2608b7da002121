/** What pods have mounted. A file system that somebody else has mounted there stays. */
import { AgentError } from '../../core/errors.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { readMounts } from '../engine/mount-table.ts';
import { realPath } from '../engine/real-path.ts';

const UNMOUNT_TIMEOUT_MS = 30_000;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

/** Every mount point, in the order in which they were mounted. */
export async function mountPoints(files: Files): Promise<readonly string[]> {
  return (await readMounts(files)).map(({ path }) => path);
}

/**
 * Unmounts what stands below these beginnings of paths, the newest first.
 * @param given their directories may go through links, as of a machine whose /var is on another disk
 * @throws AgentError TOOL_FAILED
 */
export async function unmountBelow(deps: Deps, given: readonly string[]): Promise<void> {
  const beginnings = await Promise.all(given.map((each) => realBeginning(deps.files, each)));
  const points = await mountPoints(deps.files);
  const below = points.filter((point) =>
    beginnings.some((beginning) => point.startsWith(beginning)),
  );
  for (const point of below.toReversed()) {
    await unmount(deps, point);
  }
}

async function realBeginning(files: Files, beginning: string): Promise<string> {
  const end = beginning.lastIndexOf('/');
  return `${await realPath(files, beginning.slice(0, end))}${beginning.slice(end)}`;
}

/** A network file system whose server is gone answers only to force, and what is in use leaves later. */
async function unmount({ exec, files }: Deps, point: string): Promise<void> {
  for (const how of ['-f', '-l'] as const) {
    const { exitCode } = await exec.run(['umount', how, point], { timeoutMs: UNMOUNT_TIMEOUT_MS });
    if (exitCode === 0) {
      return;
    }
  }
  if ((await mountPoints(files)).includes(point)) {
    throw new AgentError('TOOL_FAILED', `Cannot unmount ${point}`, {
      hint: `See who uses it: sudo fuser -vm ${point}; then run the same command again`,
    });
  }
}
