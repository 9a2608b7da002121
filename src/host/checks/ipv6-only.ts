import { K3S_DIRECTORY, K3S_MAIN_CONFIG_FILE } from '../../core/k3s-places.ts';
import { ipVersion } from '../../core/text/ip-version.ts';
import { addresses } from '../facts/addresses.ts';
import { clusterNetworks } from '../facts/cluster-networks.ts';
import { k3sSettings } from '../facts/k3s-settings.ts';
import { subject } from '../facts/subject.ts';
import { BARE, type Check } from './check.ts';

/** As in docs.k3s.io, "Basic Network Options", but of networks that are nobody's (RFC 4193). */
const SETTINGS = [
  'cluster-cidr: fd42:42:42::/56',
  'service-cidr: fd42:42:43::/112',
  'flannel-ipv6-masq: true',
];

export const networksOfOwnVersion: Check = {
  id: 'ipv6-only',
  title: 'IPv6 alone',
  severity: 'blocks',
  cost: 'dear',
  roles: BARE,
  why: 'k3s does not start where pods have another version of IP than their node, and the networks of a cluster cannot be changed later.',
  remedy: `Before the first installation, give pods and Services networks of IPv6 in \`${K3S_MAIN_CONFIG_FILE}\`, the same on
every server. GitHub, where k3s is fetched from, has no IPv6: name a mirror with \`--k3s-mirror\`, or install from a bundle.`,
  needs: [addresses, clusterNetworks, k3sSettings, subject],
  run: async (facts) => {
    const { k3sRole, adoptsK3s = false } = await facts(subject);
    const own = (await facts(addresses)).filter((address) => !isLinkLocal(address));
    const { pods } = await facts(clusterNetworks);
    const has = (version: number) => own.some((address) => ipVersion(address) === version);
    if (k3sRole === 'agent' || adoptsK3s || has(4) || !has(6)) {
      return undefined; // Networks are the server's; without any address another check has a word.
    }
    if (pods.some(({ version }) => version === 6)) {
      return undefined;
    }
    const told = await facts(k3sSettings);
    const isChosen = 'cluster-cidr' in told || 'service-cidr' in told;
    return {
      code: 'HOST_UNSUPPORTED',
      message: `This machine has addresses of IPv6 alone, and pods would get ${pods.map(({ text }) => text).join(', ')}`,
      ...(isChosen
        ? {
            hint: `Before the first installation, have these in ${K3S_MAIN_CONFIG_FILE} in the place of what k3s is told now: ${SETTINGS.join(', ')}`,
          }
        : {
            hint: 'Choose networks of IPv6 before the first installation',
            fix: `sudo mkdir -p ${K3S_DIRECTORY}\nprintf '${SETTINGS.join('\\n')}\\n' | sudo tee -a ${K3S_MAIN_CONFIG_FILE}`,
          }),
      details: { addresses: own },
    };
  },
};

/** RFC 3927 section 2.1, RFC 4291 section 2.5.6. */
function isLinkLocal(address: string): boolean {
  return /^(169\.254\.|fe[89ab])/i.test(address);
}
