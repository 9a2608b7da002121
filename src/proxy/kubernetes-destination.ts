import { withoutBrackets } from '../core/text/host-and-port.ts';
import type { UpstreamAddress, UpstreamPeer } from '../http1/client/address.ts';
import type { KubernetesCredentials } from '../kubernetes/api/credentials.ts';
import type { Policy } from '../policy/decision.ts';
import type { KubeconfigContent } from '../protocol/files/kubeconfig.ts';
import type { Destination, Location } from './destination.ts';

const HTTPS_PORT = 443;

/** How errors describe the API server. */
export const KUBERNETES_PEER: UpstreamPeer = {
  code: 'KUBERNETES_API',
  name: 'Kubernetes',
  hint: 'Check that k3s runs: systemctl status k3s',
  answerHint: 'Check that the address in the kubeconfig is the API server: journalctl -u k3s',
};

interface UpstreamPlace {
  readonly address: UpstreamAddress;
  /** For the Host header. */
  readonly host: string;
}

/** The Kubernetes API with the agent's own account, within the local policy. */
export function kubernetesDestination(deps: {
  readonly credentials: KubernetesCredentials;
  readonly policy: Policy;
}): Destination {
  let known: (UpstreamPlace & { readonly server: string; readonly ca: string }) | undefined;
  const placeOf = (server: string, ca: string): UpstreamPlace => {
    if (known?.server !== server || known.ca !== ca) {
      const { hostname, port, host } = new URL(server);
      const address = {
        hostname: withoutBrackets(hostname),
        port: port === '' ? HTTPS_PORT : Number(port),
        trust: { ca },
        peer: KUBERNETES_PEER,
      };
      known = { server, ca, address, host };
    }
    return known;
  };
  const locationOf = ({ server, ca, token }: KubeconfigContent): Location => {
    const { address, host } = placeOf(server, ca);
    return { address, host, token };
  };
  return {
    allow: (method, target, upgrade) => deps.policy.request(method, target, upgrade),
    locate: () => {
      const credentials = deps.credentials.current();
      return credentials instanceof Promise
        ? credentials.then(locationOf)
        : locationOf(credentials);
    },
    unauthorized: () => deps.credentials.reload(),
  };
}
