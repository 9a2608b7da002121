import { diskSpace } from '../facts/disk-space.ts';
import { type Check, EVERYWHERE } from './check.ts';

const MIB = 1024 * 1024;
const DISK_FREE_BYTES_MIN = 2 * 1024 * MIB;

export const enoughDiskSpace: Check = {
  id: 'disk-space',
  title: 'Disk space',
  severity: 'blocks',
  cost: 'cheap',
  roles: EVERYWHERE,
  why: 'Images, logs and the database of Kubernetes share this disk. When it is full, pods are evicted and nothing can be written any more.',
  remedy:
    'Free space: `journalctl --vacuum-size=200M`, `k3s crictl rmi --prune`, the cache of the package manager.',
  needs: [diskSpace],
  run: async (facts) => {
    const scarce = (await facts(diskSpace)).filter(
      ({ freeBytes }) => freeBytes < DISK_FREE_BYTES_MIN,
    );
    if (scarce.length === 0) {
      return undefined;
    }
    const list = scarce.map(
      ({ path, freeBytes }) => `${Math.floor(freeBytes / MIB)} MiB are free for ${path}`,
    );
    return {
      code: 'DISK_FULL',
      message: `Only ${list.join(', and ')}`,
      hint: `Free at least ${DISK_FREE_BYTES_MIN / MIB} MiB there, then run the same command again`,
    };
  },
};
