import { K3S_DATA_DIRECTORY } from '../../core/k3s-places.ts';
import { etcdSnapshots } from '../facts/etcd-snapshots.ts';
import { now } from '../facts/now.ts';
import type { Check } from './check.ts';

const HOUR_MS = 3_600_000;
/** k3s makes one every 12 h, unless it is told otherwise. */
const AGE_HOURS_MAX = 25;

export const recentSnapshot: Check = {
  id: 'etcd-snapshots',
  title: 'Snapshots of etcd',
  severity: 'warns',
  cost: 'dear',
  roles: ['server'],
  why: 'When more than half of the servers are lost, only a snapshot brings the cluster back.',
  remedy: `k3s makes one at 0:00 and 12:00 (\`etcd-snapshot-schedule-cron\`). Looked at are those in
\`${K3S_DATA_DIRECTORY}/server/db/snapshots\`; where k3s keeps them elsewhere, this does not count. Keep
\`${K3S_DATA_DIRECTORY}/server/token\` with them: without it they cannot be read.`,
  needs: [etcdSnapshots, now],
  run: async (facts) => {
    const { hasEtcd, newestAt } = await facts(etcdSnapshots);
    if (!hasEtcd) {
      return undefined;
    }
    const hours =
      newestAt === undefined
        ? Number.POSITIVE_INFINITY
        : ((await facts(now)).getTime() - newestAt.getTime()) / HOUR_MS;
    return hours <= AGE_HOURS_MAX
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message:
            newestAt === undefined
              ? 'There is no snapshot of etcd on this machine'
              : `The newest snapshot of etcd is ${Math.floor(hours)} hours old`,
          hint: 'Make one now, and see why k3s does not',
          fix: 'sudo k3s etcd-snapshot save',
        };
  },
};
