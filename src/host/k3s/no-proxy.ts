/**
 * What the container runtime reaches without the proxy. What it pulls from inside would otherwise be asked
 * of a proxy that does not know the way (docs.k3s.io, "Configuring an HTTP proxy").
 */
import { ipVersion } from '../../core/text/ip-version.ts';
import { podNetworks, serviceNetworks } from './networks.ts';

const LOOPBACK = ['localhost', '127.0.0.0/8', '::1'];
/** Link-local, with the clouds' places of metadata: what is read there tells who this machine is. */
const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254'];
/** Of k3s, where nobody says otherwise (docs.k3s.io, "k3s server"). */
const CLUSTER_DOMAIN = 'cluster.local';

export interface NoProxySources {
  /** Of this machine. */
  readonly nodeAddresses: readonly string[];
  /** What k3s is told, by the names of its flags. */
  readonly k3s: Readonly<Record<string, unknown>>;
  /** What a person named, comma-separated. */
  readonly given: string;
}

/** Without doubles, in the form that Go reads (golang.org/x/net/http/httpproxy). */
export function noProxyList({ nodeAddresses, k3s, given }: NoProxySources): readonly string[] {
  const list = [
    ...LOOPBACK,
    ...nodeAddresses,
    ...podNetworks(k3s),
    ...serviceNetworks(k3s),
    '.svc',
    `.${typeof k3s['cluster-domain'] === 'string' ? k3s['cluster-domain'] : CLUSTER_DOMAIN}`,
    ...LINK_LOCAL,
    ...partsOf(given),
  ];
  return [...new Set(list)];
}

/**
 * Whether two lists say the same. Addresses that nobody named do not count: bridges and leases come and
 * go, and k3s is not started again for them.
 */
export function isSameNoProxy(written: string, wanted: readonly string[], given: string): boolean {
  const named = partsOf(given);
  const lasting = (list: readonly string[]) =>
    list.filter((entry) => named.includes(entry) || ipVersion(entry) === 0).sort();
  return Bun.deepEquals(lasting(partsOf(written)), lasting(wanted));
}

function partsOf(list: string): readonly string[] {
  return list.split(/[,\s]+/).filter((part) => part !== '');
}
