import { type IpRange, ipRange } from '../../core/ip-range.ts';
import { podNetworks, serviceNetworks } from '../k3s/networks.ts';
import type { Fact } from './fact.ts';
import { k3sSettings } from './k3s-settings.ts';

export interface ClusterNetworks {
  readonly pods: readonly IpRange[];
  readonly services: readonly IpRange[];
}

/** The addresses that pods and Services get. On a worker those of the server count, which are not known here. */
export const clusterNetworks: Fact<ClusterNetworks> = {
  id: 'cluster-networks',
  read: async (_, facts) => {
    const settings = await facts(k3sSettings);
    return {
      pods: ranges(podNetworks(settings)),
      services: ranges(serviceNetworks(settings)),
    };
  },
};

function ranges(networks: readonly string[]): readonly IpRange[] {
  return networks.flatMap((network) => ipRange(network) ?? []);
}
