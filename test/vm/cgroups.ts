/**
 * One cgroup per machine, in every mounted hierarchy. It roots the machine's cgroup namespace, so
 * that two machines do not share `/kubepods`, and it proves which processes are the machine's: the
 * kernel keeps the list, so nothing can be mistaken after a pid was used again.
 * cgroup v1 and hybrid hosts are tried; the cgroup v2 branch follows cgroups(7) and is not.
 */

import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { exists } from './cache.ts';
import { waitUntil } from './wait-until.ts';

/** How long the kernel may take to stop every process of a group. */
const FREEZE_TIMEOUT_MS = 10_000;

/** How long ended processes may take to leave their cgroup. */
const EMPTY_TIMEOUT_MS = 20_000;

/** Groups of slot 1 are named `pipeops-test-1-…`. */
export function groupPrefix(slot: number): string {
  return `pipeops-test-${slot}-`;
}

/**
 * Makes the group `name` in every hierarchy, empty of what an earlier boot left (each stale pod
 * cgroup costs kubelet's start seconds).
 * @returns the `cgroup.procs` files a process must write itself into before it becomes the machine.
 */
export async function createGroup(name: string): Promise<readonly string[]> {
  const files: string[] = [];
  for (const hierarchy of await hierarchies()) {
    const directory = join(hierarchy, name);
    await removeTree(directory);
    await mkdir(directory);
    if (await exists(join(directory, 'cgroup.clone_children'))) {
      await inheritCpuset(hierarchy, directory);
    }
    files.push(join(directory, 'cgroup.procs'));
  }
  return files;
}

/** A cpuset without CPUs takes no process (cpuset(7)). */
async function inheritCpuset(hierarchy: string, directory: string): Promise<void> {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (await exists(join(directory, file))) {
      await writeFile(join(directory, file), await readFile(join(hierarchy, file)));
      await writeFile(join(directory, 'cgroup.clone_children'), '1');
    }
  }
}

/** The group names of a slot that exist in any hierarchy. */
export async function groupsOfSlot(slot: number): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const hierarchy of await hierarchies()) {
    for (const entry of await readdir(hierarchy)) {
      if (entry.startsWith(groupPrefix(slot))) {
        names.add(entry);
      }
    }
  }
  return [...names];
}

/** Ends every process of a group with SIGKILL and removes the group. */
export async function destroyGroup(name: string): Promise<void> {
  const directories = (await hierarchies()).map((hierarchy) => join(hierarchy, name));
  await waitUntil(`the processes of '${name}' are gone`, EMPTY_TIMEOUT_MS, async () => {
    const pids = new Set((await Promise.all(directories.map(processesBelow))).flat());
    for (const pid of pids) {
      endProcess(pid);
    }
    return pids.size === 0;
  });
  for (const directory of directories) {
    await removeTree(directory);
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It may have ended since the kernel listed it.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) {
      throw error;
    }
  }
}

/** Mount points of all cgroup hierarchies, v1 (with the one of systemd) and v2. */
async function hierarchies(): Promise<readonly string[]> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  return mounts.split('\n').flatMap((line) => {
    const [, mountPoint = '', type] = line.split(' ');
    const ours = mountPoint.startsWith('/sys/fs/cgroup');
    return ours && (type === 'cgroup' || type === 'cgroup2') ? [mountPoint] : [];
  });
}

async function processesBelow(directory: string): Promise<readonly number[]> {
  const lists = (await tree(directory)).map((group) =>
    readFile(join(group, 'cgroup.procs'), 'utf8').catch(() => ''),
  );
  return (await Promise.all(lists)).flatMap((text) =>
    text
      .split('\n')
      .filter((line) => line !== '' && line !== '0')
      .map(Number),
  );
}

/** Deepest first, because only an empty group can be removed. */
async function removeTree(directory: string): Promise<void> {
  for (const group of await tree(directory)) {
    await waitUntil(`'${basename(group)}' can be removed`, EMPTY_TIMEOUT_MS, async () => {
      await rmdir(group);
      return true;
    });
  }
}

async function tree(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) {
    return [];
  }
  const below = await Promise.all(
    entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => tree(join(directory, entry.name))),
  );
  return [...below.flat(), directory];
}

/** Does the work while no process of a group runs: what they have written stands still. */
export async function whileFrozen<T>(name: string, work: () => Promise<T>): Promise<T> {
  const { directory, isV1 } = await groupWith(name, 'freezer.state', 'cgroup.freeze');
  const file = join(directory, isV1 ? 'freezer.state' : 'cgroup.freeze');
  const state = isV1 ? file : join(directory, 'cgroup.events');
  await writeFile(file, isV1 ? 'FROZEN' : '1');
  try {
    await waitUntil(`'${name}' stands still`, FREEZE_TIMEOUT_MS, async () =>
      /^(FROZEN$|frozen 1$)/m.test(await readFile(state, 'utf8')),
    );
    return await work();
  } finally {
    await writeFile(file, isV1 ? 'THAWED' : '0');
  }
}

/** Limits the memory of all that runs in a group, swap included where the kernel counts it. */
export async function limitMemory(name: string, bytes: number): Promise<void> {
  const { directory, isV1 } = await groupWith(name, 'memory.limit_in_bytes', 'memory.max');
  await writeFile(join(directory, isV1 ? 'memory.limit_in_bytes' : 'memory.max'), String(bytes));
}

/** The most that a group has used at once, bytes, with what the kernel could take back. */
export async function memoryPeak(name: string): Promise<number> {
  const { directory, isV1 } = await groupWith(name, 'memory.limit_in_bytes', 'memory.max');
  const file = join(directory, isV1 ? 'memory.max_usage_in_bytes' : 'memory.peak');
  return Number(await readFile(file, 'utf8'));
}

/** The group of that name in the hierarchy that has a file: of cgroup v1, or else of v2. */
async function groupWith(
  name: string,
  fileOfV1: string,
  fileOfV2: string,
): Promise<{ readonly directory: string; readonly isV1: boolean }> {
  const directories = (await hierarchies()).map((hierarchy) => join(hierarchy, name));
  for (const [file, isV1] of [
    [fileOfV1, true],
    [fileOfV2, false],
  ] as const) {
    for (const directory of directories) {
      if (await exists(join(directory, file))) {
        return { directory, isV1 };
      }
    }
  }
  throw new Error(`No group '${name}' has ${fileOfV1} or ${fileOfV2}`);
}
