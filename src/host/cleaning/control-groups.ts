/** Control groups that pods have left: a kubelet starts slowly beside old ones. */
import type { Exec, Files } from '../../core/ports.ts';
import { isActive, systemctl } from '../engine/systemctl.ts';

const ROOT = '/sys/fs/cgroup';
const GROUP = 'kubepods';
const SLICE = `${GROUP}.slice`;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

/** @throws AgentError FILE_ACCESS */
export async function removePodGroups(deps: Deps): Promise<void> {
  if (await isActive(deps, SLICE)) {
    await systemctl(deps, 'stop', SLICE);
  }
  // Version 2 has them at the top, version 1 in each controller (cgroups(7)).
  const tops = [ROOT, ...(await directories(deps.files, ROOT))];
  for (const top of tops) {
    for (const name of [GROUP, SLICE]) {
      await removeGroup(deps.files, `${top}/${name}`);
    }
  }
}

/** The innermost first; the files in them go with them. */
async function removeGroup(files: Files, path: string): Promise<void> {
  if ((await files.stat(path))?.kind === 'directory') {
    for (const inner of await directories(files, path)) {
      await removeGroup(files, inner);
    }
    await files.removeEmptyDirectory(path);
  }
}

async function directories(files: Files, path: string): Promise<readonly string[]> {
  const paths = (await files.list(path)).map((name) => `${path}/${name}`);
  const stats = await Promise.all(paths.map((each) => files.stat(each)));
  return paths.filter((_, index) => stats[index]?.kind === 'directory');
}
