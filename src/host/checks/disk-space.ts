import { diskSpace, type FreeSpace } from '../facts/disk-space.ts';
import { subject } from '../facts/subject.ts';
import { DISK_CLEANING_ID } from '../k3s/disk-cleaning.ts';
import { type Check, EVERYWHERE, FIX_BY_DOCTOR } from './check.ts';

const MIB = 1024 * 1024;
/** For an installation; what is installed already needs less. */
const BARE_FREE_BYTES_MIN = 2 * 1024 * MIB;
const FREE_BYTES_MIN = 512 * MIB;
/** From here on the kubelet removes images, and soon pods (kubelet, imageGCHighThresholdPercent). */
export const USED_PERCENT_MAX = 85;
const INODES_FREE_PERCENT_MIN = 5;

export const enoughDiskSpace: Check = {
  id: 'disk-space',
  title: 'Disk space',
  severity: 'blocks',
  cost: 'cheap',
  roles: EVERYWHERE,
  why: 'Images, logs and the database of Kubernetes go there; when it is full, nothing can be written any more.',
  remedy:
    'Free space: `journalctl --vacuum-size=200M`, the cache of the package manager; or use a larger disk.',
  needs: [diskSpace, subject],
  run: async (facts) => {
    const { role } = await facts(subject);
    const least = role === 'bare' ? BARE_FREE_BYTES_MIN : FREE_BYTES_MIN;
    const scarce = (await facts(diskSpace)).filter(({ freeBytes }) => freeBytes < least);
    if (scarce.length === 0) {
      return undefined;
    }
    return {
      code: 'DISK_FULL',
      message: `Only ${scarce.map(freeText).join(', and ')}`,
      hint: `Free at least ${least / MIB} MiB there, then run the same command again`,
    };
  },
};

export const diskNotFilling: Check = {
  id: 'disk-filling',
  title: 'Disk filling up',
  severity: 'warns',
  cost: 'cheap',
  roles: EVERYWHERE,
  why: `When ${USED_PERCENT_MAX} % of the disk are used, Kubernetes removes images, and a little later it evicts pods.`,
  remedy: `See what is large: \`sudo du -xh --max-depth=2 /var | sort -h | tail\`. Images that nobody uses:
\`sudo k3s crictl rmi --prune\`. The journal: \`sudo journalctl --vacuum-size=200M\`. \`doctor --fix\` does both, and removes
programs of earlier versions of k3s; it shows that first.`,
  repair: DISK_CLEANING_ID,
  needs: [diskSpace, subject],
  run: async (facts) => {
    const full = (await facts(diskSpace)).filter(
      ({ freeBytes, totalBytes }) => 100 - (freeBytes / totalBytes) * 100 >= USED_PERCENT_MAX,
    );
    return full.length === 0
      ? undefined
      : {
          code: 'DISK_FULL',
          message: `The disk fills up: ${usedText(full)}`,
          hint: 'Make room',
          fix:
            (await facts(subject)).role === 'bare'
              ? 'sudo journalctl --vacuum-size=200M'
              : FIX_BY_DOCTOR,
          details: { disks: full },
        };
  },
};

export const enoughInodes: Check = {
  id: 'inodes',
  title: 'Inodes',
  severity: 'warns',
  cost: 'cheap',
  roles: EVERYWHERE,
  why: 'A file system without free inodes is full, although it has space: images have many small files.',
  remedy: `Find the directories with very many files, and remove what nobody needs:
\`sudo du --inodes -xd 3 /var | sort -n | tail\`.`,
  needs: [diskSpace],
  run: async (facts) => {
    // Some file systems, as btrfs, make them as they are needed, and count none.
    const scarce = (await facts(diskSpace)).filter(
      ({ freeInodes, totalInodes }) =>
        totalInodes > 0 && (freeInodes / totalInodes) * 100 < INODES_FREE_PERCENT_MIN,
    );
    const list = scarce.map(
      ({ path, freeInodes, totalInodes }) => `${freeInodes} of ${totalInodes} for ${path}`,
    );
    return scarce.length === 0
      ? undefined
      : {
          code: 'DISK_FULL',
          message: `Few inodes are free: ${list.join(', and ')}`,
          hint: 'Remove what has very many small files',
          fix: 'sudo du --inodes -xd 3 /var | sort -n | tail',
        };
  },
};

function freeText({ path, freeBytes }: FreeSpace): string {
  return `${Math.floor(freeBytes / MIB)} MiB are free for ${path}`;
}

/** Paths on the same disk are told together. */
function usedText(full: readonly FreeSpace[]): string {
  const percentOf = ({ freeBytes, totalBytes }: FreeSpace) =>
    Math.floor(100 - (freeBytes / totalBytes) * 100);
  const byPercent = Map.groupBy(full, percentOf);
  return [...byPercent]
    .map(([percent, same]) => `${percent} % of that of ${same.map(({ path }) => path).join(', ')}`)
    .join('; ');
}
