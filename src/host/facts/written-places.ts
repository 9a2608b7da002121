import { dirname } from 'node:path';
import {
  K3S_DATA_DIRECTORY,
  K3S_PROGRAM_DIRECTORY,
  KUBELET_DATA_DIRECTORY,
  RANCHER_CONFIG_DIRECTORY,
} from '../../core/k3s-places.ts';
import { type Mount, mountOf } from '../engine/mount-table.ts';
import { realPath } from '../engine/real-path.ts';
import type { Fact } from './fact.ts';
import { mounts } from './mounts.ts';

export interface WrittenPlace {
  readonly path: string;
  readonly hasPrograms: boolean;
  readonly mount: Mount;
}

/** Where the agent and k3s put things, each with the mount that it is on. */
export const writtenPlaces: Fact<readonly WrittenPlace[]> = {
  id: 'written-places',
  read: async (deps, facts) => {
    const all = await facts(mounts);
    const { executableLink, isPackaged, versionsDirectory, unitFile, stateDirectory } = deps.places;
    // The agent's, k3s' own, containerd's.
    const programs = [
      ...(isPackaged ? [K3S_PROGRAM_DIRECTORY] : [dirname(executableLink), versionsDirectory]),
      K3S_DATA_DIRECTORY,
    ];
    const others = [
      ...(isPackaged ? [] : [dirname(unitFile)]),
      stateDirectory,
      RANCHER_CONFIG_DIRECTORY,
      KUBELET_DATA_DIRECTORY,
    ];
    const found = await Promise.all(
      [...programs, ...others].map(async (path) => {
        const mount = mountOf(all, await realPath(deps.files, path));
        return mount === undefined ? [] : [{ path, hasPrograms: programs.includes(path), mount }];
      }),
    );
    return found.flat();
  },
};
