/** The networks of a cluster, as k3s is told them or chooses them itself (docs.k3s.io, "k3s server"). */

const POD_NETWORK = '10.42.0.0/16';
const SERVICE_NETWORK = '10.43.0.0/16';

/** Of nobody on the internet (RFC 4193): pods reach that only behind their node's address. */
const UNIQUE_LOCAL = /^f[cd]/i;

/** As the agent's own settings have them; empty where k3s is to take its usual ones. */
export interface NetworkSettings {
  readonly cluster_cidr: readonly string[];
  readonly service_cidr: readonly string[];
}

/**
 * What k3s is told of them. It takes the tenth address of the Services' network for its DNS by itself
 * (docs.k3s.io, "k3s server", `--cluster-dns`).
 */
export function networkFlags({ cluster_cidr: pods, service_cidr: services }: NetworkSettings) {
  return {
    ...(pods.length === 0 ? {} : { 'cluster-cidr': pods.join(',') }),
    ...(services.length === 0 ? {} : { 'service-cidr': services.join(',') }),
    ...(pods.some((network) => UNIQUE_LOCAL.test(network)) ? { 'flannel-ipv6-masq': true } : {}),
  };
}

/** The settings that k3s was told by the names of its flags. */
export function networkSettings(told: K3sSettings): NetworkSettings {
  return {
    cluster_cidr: listOf(told['cluster-cidr']),
    service_cidr: listOf(told['service-cidr']),
  };
}

/** By the names of k3s' flags. */
type K3sSettings = Readonly<Record<string, unknown>>;

/** In CIDR form; one of each version of IP may be given, in a list or with a comma. */
export function podNetworks(settings: K3sSettings): readonly string[] {
  return networksOf(settings['cluster-cidr'], POD_NETWORK);
}

/** The same of Services. */
export function serviceNetworks(settings: K3sSettings): readonly string[] {
  return networksOf(settings['service-cidr'], SERVICE_NETWORK);
}

function networksOf(told: unknown, usual: string): readonly string[] {
  const networks = listOf(told);
  return networks.length === 0 ? [usual] : networks;
}

function listOf(told: unknown): readonly string[] {
  return [told ?? []]
    .flat()
    .flatMap((each) => String(each).split(/[,\s]+/))
    .filter((network) => network !== '');
}
