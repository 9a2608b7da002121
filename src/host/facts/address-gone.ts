import { addresses } from './addresses.ts';
import type { Fact } from './fact.ts';
import { kubeletAddresses } from './kubelet-addresses.ts';

/** Whether this machine has none of the addresses any more that k3s was started with. */
export const isNodeAddressGone: Fact<boolean> = {
  id: 'node-address-gone',
  read: async (_, facts) => {
    const known = await facts(kubeletAddresses);
    const own = await facts(addresses);
    return known.length > 0 && !known.some((address) => own.includes(address));
  },
};
