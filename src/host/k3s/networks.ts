/** The networks of a cluster, as k3s is told them or chooses them itself (docs.k3s.io, "k3s server"). */

const POD_NETWORK = '10.42.0.0/16';
const SERVICE_NETWORK = '10.43.0.0/16';

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
  const networks = [told ?? usual]
    .flat()
    .flatMap((each) => String(each).split(/[,\s]+/))
    .filter((network) => network !== '');
  return networks.length === 0 ? [usual] : networks;
}
