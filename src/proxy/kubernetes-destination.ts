import type { KubernetesCredentials } from '../kubernetes/credentials.ts';
import type { Policy } from '../policy/policy.ts';
import type { Destination, Location } from './forward.ts';
import type { UpstreamAddress } from './upstream-dial.ts';

const HTTPS_PORT = 443;

/** The Kubernetes API with the agent's own account, within the local policy. */
export function kubernetesDestination(deps: {
  readonly credentials: KubernetesCredentials;
  readonly policy: Policy;
}): Destination {
  let known: { readonly server: string; readonly ca: string; readonly address: UpstreamAddress };
  const addressOf = (server: string, ca: string): UpstreamAddress => {
    if (known?.server !== server || known.ca !== ca) {
      const { hostname, port } = new URL(server);
      const address = {
        hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
        port: port === '' ? HTTPS_PORT : Number(port),
        trust: { ca },
      };
      known = { server, ca, address };
    }
    return known.address;
  };
  return {
    allow: (method, target, upgrade) => deps.policy.request(method, target, upgrade),
    locate: async (): Promise<Location> => {
      const { server, ca, token } = await deps.credentials.current();
      return { address: addressOf(server, ca), host: new URL(server).host, token };
    },
    unauthorized: () => deps.credentials.reload(),
  };
}
