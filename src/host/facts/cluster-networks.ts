import { type IpRange, ipRange } from '../../core/ip-range.ts';
import { networkFlags, podNetworks, serviceNetworks } from '../k3s/networks.ts';
import type { Fact } from './fact.ts';
import { k3sSettings } from './k3s-settings.ts';
import { subject } from './subject.ts';

export interface ClusterNetworks {
  readonly pods: readonly IpRange[];
  readonly services: readonly IpRange[];
}

/** The addresses that pods and Services get. A worker has those of its servers from its join token. */
export const clusterNetworks: Fact<ClusterNetworks> = {
  id: 'cluster-networks',
  read: async (_, facts) => {
    const { config } = await facts(subject);
    const settings = { ...networkFlags(config.k3s), ...(await facts(k3sSettings)) };
    return {
      pods: ranges(podNetworks(settings)),
      services: ranges(serviceNetworks(settings)),
    };
  },
};

function ranges(networks: readonly string[]): readonly IpRange[] {
  return networks.flatMap((network) => ipRange(network) ?? []);
}
