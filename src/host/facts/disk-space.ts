import { dirname } from 'node:path';
import { RANCHER_DATA_DIRECTORY } from '../../core/k3s-places.ts';
import type { DiskSpace } from '../../core/ports.ts';
import type { Fact } from './fact.ts';

export interface FreeSpace extends DiskSpace {
  readonly path: string;
}

/** What is free where most is written: images, containers and data of Kubernetes; the versions that we place. */
export const diskSpace: Fact<readonly FreeSpace[]> = {
  id: 'disk-space',
  read: ({ files, places }) => {
    const versions = places.isPackaged ? [] : [dirname(places.versionsDirectory)];
    const paths = [RANCHER_DATA_DIRECTORY, ...versions];
    return Promise.all(paths.map(async (path) => ({ path, ...(await files.diskSpace(path)) })));
  },
};
