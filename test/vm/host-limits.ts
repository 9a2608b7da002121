/** Limits of this host that all test machines share, because they share its kernel and its root. */

import { readFile, writeFile } from 'node:fs/promises';

/** Each machine's systemd, kubelet and containerd take some dozens; kernels come with 128 (inotify(7)). */
const INOTIFY_INSTANCES = 1_024;
const INOTIFY_INSTANCES_FILE = '/proc/sys/fs/inotify/max_user_instances';

/** Raises what is lower, until the host starts again. Needs root. */
export async function raiseHostLimits(): Promise<void> {
  const current = Number(await readFile(INOTIFY_INSTANCES_FILE, 'utf8'));
  if (current < INOTIFY_INSTANCES) {
    await writeFile(INOTIFY_INSTANCES_FILE, `${INOTIFY_INSTANCES}\n`);
  }
}
