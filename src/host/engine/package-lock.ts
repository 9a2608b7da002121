/** Whether the system's package manager is busy, and with whom. */
import { AgentError } from '../../core/errors.ts';
import type { Clock, Files } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';

/** Updates at the first boot of a cloud machine take minutes. */
const WAIT_LIMIT_MS = 10 * 60_000;
const LOOK_EVERY_MS = 1_000;
/** They hold the number of the process that has the packages locked (dnf, yum and zypper). */
const LOCK_FILES = [
  ...[
    '/var/lib/dnf/rpmdb_lock.pid',
    '/var/cache/dnf/metadata_lock.pid',
    '/var/cache/dnf/download_lock.pid',
  ],
  ...['/run/yum.pid', '/run/zypp.pid'],
];

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
}

/**
 * Waits until nobody has the packages locked. A lock of a process that is gone counts for nothing.
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
    const holder = await holderOfPackages(deps.files);
    if (holder === undefined) {
      return { found: true };
    }
    update(`waiting for ${holder}, which has the system's packages locked`);
    return { soFar: holder };
  });
  if (end.kind === 'aborted') {
    throw new AgentError('INTERRUPTED', "Interrupted while waiting for the system's packages", {
      hint: 'Run the same command again: it goes on where it ended',
    });
  }
  if (end.kind === 'late') {
    throw new AgentError('BUSY', `${end.soFar} has the system's packages locked for too long`, {
      hint: 'Let it end, or end it; then run the same command again',
    });
  }
}

/** `dnf-automatic (pid 812)`. */
async function holderOfPackages(files: Files): Promise<string | undefined> {
  for (const path of LOCK_FILES) {
    const pid = (await files.readText(path))?.trim() ?? '';
    const name = /^\d+$/.test(pid) ? await files.readText(`/proc/${pid}/comm`) : undefined;
    if (name !== undefined) {
      return `${name.trim()} (pid ${pid})`;
    }
  }
  return undefined;
}
