import type { Fact } from './fact.ts';
import { outputOf } from './tool-output.ts';

interface IpLink {
  readonly addr_info?: readonly { readonly local?: string; readonly dynamic?: boolean }[];
}

/** IPv4 addresses that DHCP has given for a time (ip-address(8)); none where ip(8) does not say. */
export const leasedAddresses: Fact<readonly string[]> = {
  id: 'leased-addresses',
  read: async (deps) => {
    const text = await outputOf(deps, ['ip', '-json', '-4', 'address', 'show']);
    try {
      const links = JSON.parse(text ?? '[]') as readonly IpLink[];
      return links.flatMap(({ addr_info: addresses = [] }) =>
        addresses.flatMap(({ local, dynamic }) =>
          dynamic === true && local !== undefined ? [local] : [],
        ),
      );
    } catch {
      return [];
    }
  },
};
