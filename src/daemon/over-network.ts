import type { Config } from '../config/schema.ts';
import type { Http, Network } from '../core/ports.ts';
import type { ProxySettings } from '../core/proxy-settings.ts';
import type { LiveAccess } from './control-plane-access.ts';
import { proxySettings } from './session-parts.ts';

export interface NetworkDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly authorities: () => Promise<readonly string[]>;
  readonly network: (options: { ca: string | undefined; proxy: ProxySettings }) => Network;
  readonly access: Pick<LiveAccess, 'current'>;
}

/**
 * The way out of this machine. Mirrors and collectors may have a certificate of either kind: of the usual authorities,
 * or of the one that root has named.
 */
export async function networkOut(deps: NetworkDeps, config: Config): Promise<Network> {
  const access = deps.access.current();
  const own = access.ca;
  const ca = own === undefined ? undefined : [...(await deps.authorities()), own].join('\n');
  return deps.network({ ca, proxy: proxySettings(deps, config, access) });
}

export async function overNetwork<T>(
  deps: NetworkDeps,
  config: Config,
  work: (http: Http) => Promise<T>,
): Promise<T> {
  const network = await networkOut(deps, config);
  try {
    return await work(network.http);
  } finally {
    network.close();
  }
}
