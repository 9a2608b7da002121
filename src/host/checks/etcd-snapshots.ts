import { K3S_DATA_DIRECTORY } from '../../core/k3s-places.ts';
import { etcdSnapshots } from '../facts/etcd-snapshots.ts';
import { now } from '../facts/now.ts';
import { snapshotState } from '../facts/snapshots.ts';
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
  needs: [etcdSnapshots, snapshotState, now],
  run: async (facts) => {
    const { hasEtcd, newestAt } = await facts(etcdSnapshots);
    if (!hasEtcd) {
      return undefined;
    }
    // One of the agent does as well.
    const own = (await facts(snapshotState))?.made_at ?? null;
    const times = [newestAt?.getTime(), own === null ? undefined : Date.parse(own)];
    const newest = Math.max(...times.filter((time) => time !== undefined));
    const hours = ((await facts(now)).getTime() - newest) / HOUR_MS;
    return hours <= AGE_HOURS_MAX
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message:
            hours === Number.POSITIVE_INFINITY
              ? 'There is no snapshot of etcd on this machine'
              : `The newest snapshot of etcd is ${Math.floor(hours)} hours old`,
          hint: 'Make one now, and see why k3s does not',
          fix: 'sudo k3s etcd-snapshot save',
        };
  },
};
