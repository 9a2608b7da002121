/** What of this machine has addresses in the networks of pods and Services already. */
import { type IpRange, ipRange, isWithin, overlaps } from '../../core/ip-range.ts';
import { addresses } from '../facts/addresses.ts';
import { type ClusterNetworks, clusterNetworks } from '../facts/cluster-networks.ts';
import type { Facts } from '../facts/fact.ts';
import { type IpRoute, isDefaultRoute } from '../facts/ip-route.ts';
import { ipRoutes } from '../facts/ip-routes.ts';
import { resolvConfs } from '../facts/resolv-conf.ts';

/** Links that k3s makes, for these very addresses. */
const OWN_LINKS = /^(cni0|cbr0|flannel|kube-|veth|tailscale0$)/;

/** As many addresses as each node gets of IPv4, or of IPv6, unless the controllers are told otherwise. */
const PODS_OF_NODE = /(?:\.\d+\/24|:\/64)$/;

/** Own addresses and resolvers that are in them, each as a sentence. */
export async function overlappingAddresses(facts: Facts): Promise<readonly string[]> {
  const networks = allOf(await facts(clusterNetworks));
  const own = (await facts(addresses)).map((address) => ({ what: 'the address', address }));
  const { system } = await facts(resolvConfs);
  const resolvers = system.nameservers.map((address) => ({ what: 'the resolver', address }));
  return [...own, ...resolvers].flatMap(({ what, address }) => {
    const network = overlapped(address, networks);
    return network === undefined ? [] : [`${what} ${address} is in ${network.text}`];
  });
}

/** Routes of others that lead to some of their addresses, each as a sentence. */
export async function overlappingRoutes(facts: Facts): Promise<readonly string[]> {
  const networks = await facts(clusterNetworks);
  const routes = (await facts(ipRoutes)).filter((route) => isOfOthers(route, networks));
  return routes.flatMap(({ destination, device }) => {
    const network = overlapped(destination, allOf(networks));
    if (network === undefined) {
      return [];
    }
    const route = `${destination} is routed over ${device}`;
    return [network.text === destination ? route : `${route} and overlaps ${network.text}`];
  });
}

/** Everything that this machine uses. */
export async function usedRanges(facts: Facts): Promise<readonly IpRange[]> {
  const { system } = await facts(resolvConfs);
  const routes = (await facts(ipRoutes)).filter((route) => !isDefaultRoute(route));
  return [
    ...(await facts(addresses)),
    ...system.nameservers,
    ...routes.map(({ destination }) => destination),
  ].flatMap((text) => ipRange(text) ?? []);
}

export function allOf({ pods, services }: ClusterNetworks): readonly IpRange[] {
  return [...pods, ...services];
}

function overlapped(text: string, networks: readonly IpRange[]): IpRange | undefined {
  const range = ipRange(text);
  return networks.find((each) => range !== undefined && overlaps(each, range));
}

/** Without what k3s itself has set: links of its own, and with host-gw a route to each node's pods. */
function isOfOthers(route: IpRoute, { pods }: ClusterNetworks): boolean {
  const range = ipRange(route.destination);
  const isOfNode =
    route.hasGateway &&
    range !== undefined &&
    PODS_OF_NODE.test(route.destination) &&
    pods.some((network) => isWithin(range, network));
  return !isDefaultRoute(route) && !OWN_LINKS.test(route.device) && !isOfNode;
}
