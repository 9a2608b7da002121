import { type IpRange, ipRange, isWithin, overlaps } from '../../core/ip-range.ts';
import { clusterNetworks } from './cluster-networks.ts';
import type { Fact } from './fact.ts';
import { isDefaultRoute } from './ip-route.ts';
import { ipRoutes } from './ip-routes.ts';

/** RFC 1918 section 3, RFC 4193 section 3.1. */
const PRIVATE: readonly IpRange[] = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  'fc00::/7',
].flatMap((text) => ipRange(text) ?? []);
/** Links to containers and virtual machines on this one. */
const INSIDE = /^(br-|cali|cilium|cni|docker|dummy|flannel|kube|lo$|lxc|lxd|podman|tap|veth|virbr)/;
/** Networks that are looked at. */
const NETWORKS_MAX = 8;

export interface NodeNetworks {
  /** Links by which other nodes may come. */
  readonly devices: readonly string[];
  /** Private networks that this machine is in, of the versions of IP that pods have. */
  readonly networks: readonly IpRange[];
}

/** From where other nodes come, as far as this machine knows it before there are any. */
export const nodeNetworks: Fact<NodeNetworks> = {
  id: 'node-networks',
  read: async (deps, facts) => {
    const { pods, services } = await facts(clusterNetworks);
    const own = deps.addresses().flatMap((address) => ipRange(address) ?? []);
    const routes = (await facts(ipRoutes)).filter(({ device }) => !INSIDE.test(device));
    const near = routes.flatMap(({ destination, device, hasGateway }) => {
      const network = ipRange(destination);
      const isOurs =
        !hasGateway &&
        network !== undefined &&
        network.first < network.last &&
        own.some((address) => isWithin(address, network)) &&
        PRIVATE.some((range) => isWithin(network, range)) &&
        ![...pods, ...services].some((range) => overlaps(range, network));
      return isOurs ? [{ network, device }] : [];
    });
    const out = routes.filter(isDefaultRoute).map(({ device }) => device);
    const devices = new Set([...out, ...near.map(({ device }) => device)]);
    const networks = near
      .map(({ network }) => network)
      .filter(({ version }) => pods.some((range) => range.version === version));
    const byText = new Map(networks.map((network) => [network.text, network]));
    return {
      devices: [...devices].filter((device) => device !== ''),
      networks: [...byText.values()].slice(0, NETWORKS_MAX),
    };
  },
};
