import { RANCHER_DATA_DIRECTORY } from '../../core/k3s-places.ts';
import type { DiskSpace } from '../../core/ports.ts';
import type { Fact } from './fact.ts';

/** Where most is written: images, containers, the data of Kubernetes. */
const PATHS = [RANCHER_DATA_DIRECTORY, '/opt'];

export interface FreeSpace extends DiskSpace {
  readonly path: string;
}

/** What is free where Kubernetes writes. */
export const diskSpace: Fact<readonly FreeSpace[]> = {
  id: 'disk-space',
  read: ({ files }) =>
    Promise.all(PATHS.map(async (path) => ({ path, ...(await files.diskSpace(path)) }))),
};
