import { K3S_ETCD_DIRECTORY } from '../../core/k3s-places.ts';
import type { Fact } from './fact.ts';
import { k3sSettings } from './k3s-settings.ts';

/** Whether this server keeps the cluster's data in etcd, or will. */
export const usesEtcd: Fact<boolean> = {
  id: 'uses-etcd',
  read: async (deps, facts) => {
    const { k3sRole, config } = deps.subject;
    return (
      k3sRole === 'server' &&
      (config.k3s.ha ||
        (await facts(k3sSettings))['cluster-init'] === true ||
        (await deps.files.stat(K3S_ETCD_DIRECTORY)) !== undefined)
    );
  },
};
