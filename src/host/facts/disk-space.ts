import { dirname } from 'node:path';
import { RANCHER_DATA_DIRECTORY } from '../../core/k3s-places.ts';
import type { DiskSpace } from '../../core/ports.ts';
import type { Fact, FactDeps } from './fact.ts';

export interface FreeSpace extends DiskSpace {
  readonly path: string;
}

/** What is free where most is written: images, containers and data of Kubernetes; our own versions. */
export const diskSpace: Fact<readonly FreeSpace[]> = {
  id: 'disk-space',
  read: async (deps) => await readDiskSpace(deps),
};

export async function readDiskSpace({
  files,
  places,
}: Pick<FactDeps, 'files' | 'places'>): Promise<readonly FreeSpace[]> {
  const paths = [RANCHER_DATA_DIRECTORY, dirname(places.versionsDirectory)];
  return await Promise.all(paths.map(async (path) => ({ path, ...(await files.diskSpace(path)) })));
}
