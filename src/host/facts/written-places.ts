import { dirname } from 'node:path';
import {
  K3S_DATA_DIRECTORY,
  KUBELET_DATA_DIRECTORY,
  RANCHER_CONFIG_DIRECTORY,
} from '../../core/k3s-places.ts';
import type { Files } from '../../core/ports.ts';
import type { Fact } from './fact.ts';
import { type Mount, mountOf, mounts } from './mounts.ts';

/** Links that lead on to links; the kernel follows 40 (path_resolution(7)). */
const LINKS_MAX = 40;

export interface WrittenPlace {
  readonly path: string;
  readonly hasPrograms: boolean;
  readonly mount: Mount;
}

/** Where the agent and k3s put things, each with the mount that it is on. */
export const writtenPlaces: Fact<readonly WrittenPlace[]> = {
  id: 'written-places',
  read: async (deps) => {
    const all = await mounts.read(deps);
    const { executableLink, versionsDirectory, unitFile, stateDirectory } = deps.places;
    // The agent's, k3s' own, containerd's.
    const programs = [dirname(executableLink), versionsDirectory, K3S_DATA_DIRECTORY];
    const others = [
      dirname(unitFile),
      stateDirectory,
      RANCHER_CONFIG_DIRECTORY,
      KUBELET_DATA_DIRECTORY,
    ];
    const found = await Promise.all(
      [...programs, ...others].map(async (path) => {
        const mount = mountOf(all, await followed(deps.files, path));
        return mount === undefined ? [] : [{ path, hasPrograms: programs.includes(path), mount }];
      }),
    );
    return found.flat();
  },
};

/** Where a path leads to, through all links on the way: `/usr/local` may be in /var. */
async function followed(files: Files, path: string): Promise<string> {
  let done = '';
  let rest = path.split('/').filter(Boolean);
  for (let links = 0; rest.length > 0 && links < LINKS_MAX; ) {
    const [name = '', ...others] = rest;
    const here = `${done}/${name}`;
    const stat = await files.stat(here);
    const target = stat?.kind === 'link' ? await files.readLink(here) : undefined;
    if (target === undefined) {
      done = name === '..' ? dirname(done) : here;
      rest = others;
    } else {
      links += 1;
      done = target.startsWith('/') ? '' : done;
      rest = [...target.split('/').filter((each) => each !== '' && each !== '.'), ...others];
    }
    done = done === '/' ? '' : done;
  }
  return done === '' ? '/' : done;
}
