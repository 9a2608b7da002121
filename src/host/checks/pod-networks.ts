/** Addresses of pods and Services that this machine already uses for others. */
import { type IpRange, ipRange, isWithin, overlaps } from '../../core/ip-range.ts';
import { K3S_DIRECTORY, K3S_MAIN_CONFIG_FILE } from '../../core/k3s-places.ts';
import { addresses } from '../facts/addresses.ts';
import { type ClusterNetworks, clusterNetworks } from '../facts/cluster-networks.ts';
import type { Facts } from '../facts/fact.ts';
import { type IpRoute, isDefaultRoute } from '../facts/ip-route.ts';
import { ipRoutes } from '../facts/ip-routes.ts';
import { k3sSettings } from '../facts/k3s-settings.ts';
import { resolvConfs } from '../facts/resolv-conf.ts';
import { subject } from '../facts/subject.ts';
import { BARE, type Check, EVERYWHERE, type Finding } from './check.ts';
import { type FreePair, freePair } from './free-networks.ts';

/** Links that k3s makes, for these very addresses. */
const OWN_LINKS = /^(cni0|cbr0|flannel|kube-|veth|tailscale0$)/;
/** Routes that are named. */
const NAMED_MAX = 5;
const REMEDY =
  `Before the first installation, choose another pair in \`${K3S_MAIN_CONFIG_FILE}\` (\`cluster-cidr\`, ` +
  '`service-cidr`), the same on every server; the message has one that is free here. It cannot be changed ' +
  'afterwards (docs.k3s.io). Or take the route away: a VPN often sends more through it than it needs.';

/** What is inside either of them is out of reach once k3s runs. */
export const podNetworksFree: Check = {
  id: 'pod-networks',
  title: 'Networks of pods',
  severity: 'blocks',
  cost: 'dear',
  roles: BARE,
  why: "Once k3s runs, these addresses mean pods and Services: this machine's own network would be cut off.",
  remedy: REMEDY,
  needs: [addresses, clusterNetworks, ipRoutes, k3sSettings, resolvConfs, subject],
  run: async (facts) => {
    if ((await facts(subject)).adoptsK3s === true) {
      return undefined; // They are in use, by that k3s.
    }
    const networks = await facts(clusterNetworks);
    const own = (await facts(addresses)).map((address) => ({ what: 'the address', address }));
    const { system } = await facts(resolvConfs);
    const resolvers = system.nameservers.map((address) => ({ what: 'the resolver', address }));
    const taken = [...own, ...resolvers].flatMap(({ what, address }) => {
      const range = ipRange(address);
      const network = all(networks).find((each) => range !== undefined && overlaps(each, range));
      return network === undefined ? [] : [`${what} ${address} is in ${network.text}`];
    });
    return taken.length === 0 ? undefined : await finding(facts, networks, taken);
  },
};

/** A wider route, of a VPN for example, works on: only what is in both is out of reach. */
export const podRoutesFree: Check = {
  id: 'pod-network-routes',
  title: 'Routes beside pods',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'Where a route leads to the same addresses as pods or Services, either the pods or what is behind that route cannot be reached.',
  remedy: REMEDY,
  needs: [addresses, clusterNetworks, ipRoutes, k3sSettings, resolvConfs, subject],
  run: async (facts) => {
    const networks = await facts(clusterNetworks);
    const routes = (await facts(ipRoutes)).filter((route) => isOfOthers(route, networks));
    const taken = routes.flatMap(({ destination, device }) => {
      const range = ipRange(destination);
      const network = all(networks).find((each) => range !== undefined && overlaps(each, range));
      return network === undefined ? [] : [`${destination} (${device}) overlaps ${network.text}`];
    });
    return taken.length === 0 ? undefined : await finding(facts, networks, taken);
  },
};

function all({ pods, services }: ClusterNetworks): readonly IpRange[] {
  return [...pods, ...services];
}

/** Without what k3s itself has set: links of its own, and with host-gw a route to each node's pods. */
function isOfOthers(route: IpRoute, { pods }: ClusterNetworks): boolean {
  const range = ipRange(route.destination);
  const isOfNode =
    route.hasGateway &&
    range !== undefined &&
    route.destination.endsWith('/24') &&
    pods.some((network) => isWithin(range, network));
  return !isDefaultRoute(route) && !OWN_LINKS.test(route.device) && !isOfNode;
}

/** Everything that this machine uses. */
async function usedRanges(facts: Facts): Promise<readonly IpRange[]> {
  const { system } = await facts(resolvConfs);
  const routes = (await facts(ipRoutes)).filter((route) => !isDefaultRoute(route));
  return [
    ...(await facts(addresses)),
    ...system.nameservers,
    ...routes.map(({ destination }) => destination),
  ].flatMap((text) => ipRange(text) ?? []);
}

async function finding(
  facts: Facts,
  networks: ClusterNetworks,
  taken: readonly string[],
): Promise<Finding> {
  const mayChoose = (await facts(subject)).role === 'bare';
  const free = mayChoose ? freePair(await usedRanges(facts)) : undefined;
  const more = taken.length > NAMED_MAX ? ` and ${taken.length - NAMED_MAX} more` : '';
  return {
    code: 'CHECK_FAILED',
    message: `Addresses of pods and Services are used already: ${taken.slice(0, NAMED_MAX).join(', ')}${more}`,
    ...(free === undefined
      ? { hint: noChoice(mayChoose) }
      : choice(free, await facts(k3sSettings))),
    details: { taken, free: free ?? null, networks: all(networks).map(({ text }) => text) },
  };
}

function noChoice(mayChoose: boolean): string {
  return mayChoose
    ? 'Take that route or address away: there is no free pair of networks in 10.0.0.0/8 either'
    : 'Take that away: the networks of a cluster cannot be changed once it is there';
}

/** Networks that are told already have to be changed where they stand: k3s takes all that it is told. */
function choice(
  { pods, services }: FreePair,
  settings: Readonly<Record<string, unknown>>,
): Pick<Finding, 'hint' | 'fix'> {
  return 'cluster-cidr' in settings || 'service-cidr' in settings
    ? {
        hint: `Take that away, or before the first installation change cluster-cidr to ${pods} and service-cidr to ${services} where k3s is told them: ${K3S_MAIN_CONFIG_FILE}`,
      }
    : {
        hint: 'Take that away, or choose free networks before the first installation',
        fix: `sudo mkdir -p ${K3S_DIRECTORY}\nprintf 'cluster-cidr: ${pods}\\nservice-cidr: ${services}\\n' | sudo tee -a ${K3S_MAIN_CONFIG_FILE}`,
      };
}
