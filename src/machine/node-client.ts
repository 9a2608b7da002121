import { AgentError } from '../core/errors.ts';
import {
  K3S_AGENT_CA_FILE,
  K3S_KUBELET_CERTIFICATE_FILE,
  K3S_KUBELET_KEY_FILE,
} from '../core/k3s-places.ts';
import type { Http } from '../core/ports.ts';
import { type KubernetesClient, kubernetesClient } from '../kubernetes/api/client.ts';
import type { MachineContext } from './context.ts';

/**
 * Kubernetes as the kubelet of this worker: it may change this one Node, and evict or delete its pods
 * (kubernetes.io, "Using Node Authorization"). Asks the server itself, so that it works while k3s is
 * stopped here.
 * @param server `https://host:6443`
 * @throws AgentError K3S_NOT_READY where this machine never became a node
 */
export async function nodeClient(
  context: Pick<MachineContext, 'clock' | 'files' | 'http'>,
  server: string,
): Promise<KubernetesClient> {
  const [ca, cert, key] = await Promise.all([
    context.files.readText(K3S_AGENT_CA_FILE),
    context.files.readText(K3S_KUBELET_CERTIFICATE_FILE),
    context.files.readText(K3S_KUBELET_KEY_FILE),
  ]);
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new AgentError('K3S_NOT_READY', 'This machine never became a node of its cluster', {
      hint: 'There is nothing to leave. To remove what is here: sudo pipeops-agent uninstall',
    });
  }
  const http: Http = (url, init = {}) => {
    const headers = new Headers(init.headers);
    headers.delete('authorization'); // The certificate says who asks.
    return context.http(url, { ...init, headers, tls: { ...init.tls, cert, key } });
  };
  const current = async () => ({ server, ca, token: '' });
  const credentials = { current, reload: () => undefined };
  return kubernetesClient({ clock: context.clock, http, credentials });
}
