import { normalAddress } from '../../core/text/normal-address.ts';
import { addresses } from '../facts/addresses.ts';
import { BARE, type Check } from './check.ts';

/** Addresses that are named; a machine with containers has many. */
const NAMED_MAX = 12;

/**
 * A kubelet with an address that its machine does not have never gets ready
 * (k8s.io/kubernetes, "pkg/kubelet/kubelet_node_status.go", validateNodeIP).
 */
export function nodeAddresses(wanted: readonly string[]): Check {
  return {
    id: 'node-address',
    title: "The node's address",
    severity: 'blocks',
    cost: 'cheap',
    roles: BARE,
    why: 'A kubelet with an address that its machine does not have never gets ready.',
    remedy: 'Give an address of this machine with `--node-ip`, or none.',
    needs: [addresses],
    run: async (facts) => {
      const own = await facts(addresses);
      const known = own.map(normalAddress);
      const foreign = wanted.filter((address) => !known.includes(normalAddress(address)));
      if (foreign.length === 0) {
        return undefined;
      }
      const named = own.filter((address) => !/^fe[89ab]/i.test(address)).slice(0, NAMED_MAX);
      return {
        code: 'CONFIG_INVALID',
        message: `k3s.node_ip: ${foreign.join(', ')} is no address of this machine`,
        hint:
          `Give one that it has, with --node-ip: ${named.join(', ') || 'it has none'}. ` +
          'A public address that a cloud leads here is none of the machine itself',
        details: { addresses: named },
      };
    },
  };
}
