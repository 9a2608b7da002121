import { K3S_MAIN_CONFIG_FILE } from '../../core/k3s-places.ts';
import { ipVersion } from '../../core/text/ip-version.ts';
import { clusterNetworks } from '../facts/cluster-networks.ts';
import { k3sSettings } from '../facts/k3s-settings.ts';
import { subject } from '../facts/subject.ts';
import { usableAddresses } from '../facts/usable-addresses.ts';
import { BARE, type Check } from './check.ts';

export const networksOfOwnVersion: Check = {
  id: 'ipv6-only',
  title: 'Versions of IP',
  severity: 'blocks',
  cost: 'dear',
  roles: BARE,
  why: 'k3s does not start where pods have a version of IP that their node has not, and the networks of a cluster cannot be changed later.',
  remedy: `Where no networks were chosen, \`install\` takes some of IPv6 by itself on a machine that has only IPv6. Chosen
ones (\`--cluster-cidr\`, \`--service-cidr\`, or in \`${K3S_MAIN_CONFIG_FILE}\`) must have versions of IP that the machine
has, too. GitHub, where k3s is fetched from, has no IPv6: name a mirror with \`--k3s-mirror\`, or install from a bundle.`,
  needs: [usableAddresses, clusterNetworks, k3sSettings, subject],
  run: async (facts) => {
    const { adoptsK3s = false, config } = await facts(subject);
    const own = await facts(usableAddresses);
    const { pods } = await facts(clusterNetworks);
    const foreign = pods.filter(
      ({ version }) => !own.some((address) => ipVersion(address) === version),
    );
    if (adoptsK3s || foreign.length === 0 || own.length === 0) {
      return undefined; // Without any address another check has a word.
    }
    const version = foreign[0]?.version ?? 4;
    const told = await facts(k3sSettings);
    const inFile = 'cluster-cidr' in told || 'service-cidr' in told;
    const isChosen = config.k3s.cluster_cidr.length > 0;
    return {
      code: 'HOST_UNSUPPORTED',
      message: `This machine has no address of IPv${version}, and pods would get ${foreign.map(({ text }) => text).join(', ')}`,
      hint: inFile
        ? `Before the first installation, change cluster-cidr and service-cidr in ${K3S_MAIN_CONFIG_FILE}, or take them out: "install" chooses some by itself`
        : isChosen
          ? 'Choose others with --cluster-cidr and --service-cidr, or give the machine such an address'
          : '"install" chooses networks of IPv6 by itself; to join a cluster the machine needs such an address',
      details: { addresses: own },
    };
  },
};
