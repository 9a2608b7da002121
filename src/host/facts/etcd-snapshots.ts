import { K3S_DATA_DIRECTORY, K3S_ETCD_DIRECTORY } from '../../core/k3s-places.ts';
import type { Fact } from './fact.ts';

const SNAPSHOTS_DIRECTORY = `${K3S_DATA_DIRECTORY}/server/db/snapshots`;

export interface EtcdSnapshots {
  /** Whether this machine keeps the cluster's data in etcd. */
  readonly hasEtcd: boolean;
  /** The newest of those on this machine; undefined where there is none. */
  readonly newestAt: Date | undefined;
}

export const etcdSnapshots: Fact<EtcdSnapshots> = {
  id: 'etcd-snapshots',
  read: async ({ files }) => {
    // Names end with the second in which they were made: `etcd-snapshot-web-1-1767225600.zip`.
    const seconds = (await files.list(SNAPSHOTS_DIRECTORY)).flatMap((name) =>
      Number(/-(\d{10})(?:\.zip)?$/.exec(name)?.[1] ?? Number.NaN),
    );
    const newest = Math.max(...seconds.filter(Number.isFinite));
    return {
      hasEtcd: (await files.stat(K3S_ETCD_DIRECTORY)) !== undefined,
      newestAt: Number.isFinite(newest) ? new Date(newest * 1_000) : undefined,
    };
  },
};
