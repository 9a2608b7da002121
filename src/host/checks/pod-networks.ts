/** Addresses of pods and Services that this machine already uses for others. */
import { K3S_MAIN_CONFIG_FILE } from '../../core/k3s-places.ts';
import { addresses } from '../facts/addresses.ts';
import { clusterNetworks } from '../facts/cluster-networks.ts';
import type { Facts } from '../facts/fact.ts';
import { ipRoutes } from '../facts/ip-routes.ts';
import { k3sSettings } from '../facts/k3s-settings.ts';
import { resolvConfs } from '../facts/resolv-conf.ts';
import { subject } from '../facts/subject.ts';
import { BARE, type Check, EVERYWHERE, type Finding } from './check.ts';
import { type FreePair, freePair } from './free-networks.ts';
import { allOf, overlappingAddresses, overlappingRoutes, usedRanges } from './network-overlaps.ts';

/** Routes that are named. */
const NAMED_MAX = 5;
const REMEDY =
  '`install` takes a free pair by itself where none was chosen. A chosen pair is changed before the first ' +
  `installation only: with \`--cluster-cidr\` and \`--service-cidr\`, or in \`${K3S_MAIN_CONFIG_FILE}\` where it stands ` +
  'there; the message has one that is free here. It cannot be changed afterwards (docs.k3s.io), nor by a machine ' +
  'that joins. Or take the route away: a VPN often sends more through it than it needs.';

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
    const taken = await overlappingAddresses(facts);
    return taken.length === 0 ? undefined : await finding(facts, taken);
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
    const taken = await overlappingRoutes(facts);
    return taken.length === 0 ? undefined : await finding(facts, taken);
  },
};

async function finding(facts: Facts, taken: readonly string[]): Promise<Finding> {
  const { role, k3sRole } = await facts(subject);
  const mayChoose = role === 'bare' && k3sRole === 'server';
  const free = mayChoose ? freePair(await usedRanges(facts)) : undefined;
  const more = taken.length > NAMED_MAX ? ` and ${taken.length - NAMED_MAX} more` : '';
  const networks = allOf(await facts(clusterNetworks));
  return {
    code: 'CHECK_FAILED',
    message: `Addresses of pods and Services are used already: ${taken.slice(0, NAMED_MAX).join(', ')}${more}`,
    hint: free === undefined ? noChoice(mayChoose) : await choice(facts, free),
    details: { taken, free: free ?? null, networks: networks.map(({ text }) => text) },
  };
}

function noChoice(mayChoose: boolean): string {
  return mayChoose
    ? 'Take that route or address away: no pair of private networks is free either'
    : 'Take that away: the networks of a cluster cannot be changed once it is there';
}

/** What is told already has to be changed where it stands: k3s takes all that it is told. */
async function choice(facts: Facts, { pods, services }: FreePair): Promise<string> {
  const told = await facts(k3sSettings);
  if ('cluster-cidr' in told || 'service-cidr' in told) {
    return `Take that away, or before the first installation change cluster-cidr to ${pods} and service-cidr to ${services} where k3s is told them: ${K3S_MAIN_CONFIG_FILE}`;
  }
  const { k3s } = (await facts(subject)).config;
  return k3s.cluster_cidr.length + k3s.service_cidr.length > 0
    ? `Take that away, or choose others: --cluster-cidr ${pods} --service-cidr ${services}`
    : `"install" takes ${pods} and ${services} in their place by itself; "join" cannot: there take it away`;
}
