/** Which networks the pods and Services of a new cluster get: they cannot be changed later. */
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { ipVersion } from '../core/text/ip-version.ts';
import { freePair } from '../host/checks/free-networks.ts';
import {
  overlappingAddresses,
  overlappingRoutes,
  usedRanges,
} from '../host/checks/network-overlaps.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import { type Facts, factsOf } from '../host/facts/fact.ts';
import { k3sSettings } from '../host/facts/k3s-settings.ts';
import { outgoingAddresses } from '../host/facts/outgoing-addresses.ts';
import { usableAddresses } from '../host/facts/usable-addresses.ts';
import { readK3sConfig } from '../host/k3s/config.ts';
import { type NetworkSettings, networkSettings } from '../host/k3s/networks.ts';
import type { MachineContext } from './context.ts';
import { type ConfigFlags, loadEffectiveConfig } from './effective-config.ts';
import { factDeps } from './fact-deps.ts';

/** Reasons that are named. */
const NAMED_MAX = 5;

/** Networks that are not k3s' usual ones. */
export interface ClusterNetworksChoice {
  readonly pods: readonly string[];
  readonly services: readonly string[];
  /** Why the usual ones were not taken, each a sentence; empty where somebody chose these, or an earlier run. */
  readonly because: readonly string[];
}

export interface WithNetworks {
  readonly loaded: LoadedConfig;
  /** Null where the cluster has k3s' usual networks, or somebody tells them k3s in a file of their own. */
  readonly networks: ClusterNetworksChoice | null;
}

/**
 * The settings of a first server, with networks that are free on this machine: where nobody has chosen any,
 * and the usual ones are in use or of a version of IP that the machine has not. As settings they go into the
 * configuration file, so that later runs find them. Where none is free the checks tell.
 * @throws AgentError CONFIG_INVALID
 */
export async function withFreeNetworks(
  context: MachineContext,
  inventory: HostInventory,
  loaded: LoadedConfig,
  flags: ConfigFlags,
): Promise<WithNetworks> {
  const facts = factsOf(
    factDeps(context, { role: 'bare', k3sRole: 'server', config: loaded.config }),
  );
  const choice = await chosen(context, inventory, loaded.config, facts);
  if (choice === null) {
    return { loaded, networks: null };
  }
  const added = await networkFlagsFor(facts, loaded.config, choice);
  return { loaded: await loadEffectiveConfig(context, { ...flags, ...added }), networks: choice };
}

/** The flags of a machine that joins a cluster with such networks, beside its own. */
export async function joinsNetworks(
  context: MachineContext,
  config: Config,
  networks: Pick<ClusterNetworksChoice, 'pods' | 'services'>,
): Promise<ConfigFlags> {
  const facts = factsOf(factDeps(context, { role: 'bare', k3sRole: 'agent', config }));
  return networkFlagsFor(facts, config, networks);
}

/** For a person. */
export function describeNetworks({ pods, services, because }: ClusterNetworksChoice): string {
  const named = because.slice(0, NAMED_MAX).join(', ');
  const more = because.length > NAMED_MAX ? ` and ${because.length - NAMED_MAX} more` : '';
  return because.length === 0
    ? ''
    : `Pods get ${pods.join(', ')} and Services ${services.join(', ')}, because ${named}${more}. ` +
        'Once k3s has started that cannot be changed; to choose others: --cluster-cidr, --service-cidr.\n';
}

async function chosen(
  context: MachineContext,
  inventory: HostInventory,
  { k3s }: Config,
  facts: Facts,
): Promise<ClusterNetworksChoice | null> {
  if (k3s.cluster_cidr.length + k3s.service_cidr.length > 0) {
    return byName(k3s, []);
  }
  const told = inventory.has('k3s', 'server') ? await readK3sConfig(context) : undefined;
  if (told !== undefined) {
    const before = networkSettings(told);
    return before.cluster_cidr.length === 0 ? null : byName(before, []);
  }
  const foreign = await facts(k3sSettings);
  if ('cluster-cidr' in foreign || 'service-cidr' in foreign) {
    return null;
  }
  return free(facts);
}

async function free(facts: Facts): Promise<ClusterNetworksChoice | null> {
  const own = await facts(usableAddresses);
  const hasOnly6 = own.length > 0 && own.every((address) => ipVersion(address) === 6);
  const because = hasOnly6
    ? ['this machine has only IPv6']
    : [...(await overlappingAddresses(facts)), ...(await overlappingRoutes(facts))];
  const pair =
    because.length === 0 ? undefined : freePair(await usedRanges(facts), hasOnly6 ? 6 : 4);
  return pair === undefined ? null : { pods: [pair.pods], services: [pair.services], because };
}

function byName(
  { cluster_cidr, service_cidr }: NetworkSettings,
  because: readonly string[],
): ClusterNetworksChoice {
  return { pods: cluster_cidr, services: service_cidr, because };
}

/**
 * With IPv6 the node's addresses are told, too: the kubelet takes one address that it finds by itself, and
 * one of each version only where it is told both (kubernetes.io, "IPv4/IPv6 dual-stack", `--node-ip`).
 */
async function networkFlagsFor(
  facts: Facts,
  { k3s }: Config,
  { pods, services }: Pick<ClusterNetworksChoice, 'pods' | 'services'>,
): Promise<ConfigFlags> {
  const outgoing = await facts(outgoingAddresses);
  const versions = pods.map((network) => (network.includes(':') ? 6 : 4));
  const addresses = versions.flatMap((version) => outgoing[version] ?? []);
  const isTold = k3s.node_ip.length > 0 || !versions.includes(6) || addresses.length === 0;
  return {
    ...(pods.length === 0 ? {} : { 'cluster-cidr': pods.join(',') }),
    ...(services.length === 0 ? {} : { 'service-cidr': services.join(',') }),
    ...(isTold ? {} : { 'node-ip': addresses.join(',') }),
  };
}
