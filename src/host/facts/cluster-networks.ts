import { type IpRange, ipRange } from '../../core/ip-range.ts';
import { POD_NETWORK, SERVICE_NETWORK } from '../k3s/no-proxy.ts';
import type { Fact } from './fact.ts';
import { k3sSettings } from './k3s-settings.ts';

export interface ClusterNetworks {
  readonly pods: readonly IpRange[];
  readonly services: readonly IpRange[];
}

/** The addresses that pods and Services get. On a worker those of the server count, which are not known here. */
export const clusterNetworks: Fact<ClusterNetworks> = {
  id: 'cluster-networks',
  read: async (deps) => {
    const settings = await k3sSettings.read(deps);
    return {
      pods: ranges(settings['cluster-cidr'], POD_NETWORK),
      services: ranges(settings['service-cidr'], SERVICE_NETWORK),
    };
  },
};

/** One of each version of IP may be given, in a list or with a comma. */
function ranges(given: unknown, usual: string): readonly IpRange[] {
  const texts =
    given === undefined ? [usual] : [given].flat().flatMap((each) => String(each).split(','));
  return texts.flatMap((text) => ipRange(text.trim()) ?? []);
}
