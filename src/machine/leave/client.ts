/** Kubernetes as a machine that leaves sees it: on another machine, so that it works while k3s is stopped here. */
import type { V1Node } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import {
  K3S_ADMIN_CERTIFICATE_FILE,
  K3S_ADMIN_KEY_FILE,
  K3S_AGENT_CA_FILE,
  K3S_BALANCER_FILE,
  K3S_KUBELET_CERTIFICATE_FILE,
  K3S_KUBELET_KEY_FILE,
  K3S_SERVER_CA_FILE,
  type K3sRole,
} from '../../core/k3s-places.ts';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import type { Files, Http } from '../../core/ports.ts';
import { within } from '../../core/waiting.ts';
import { type KubernetesClient, kubernetesClient } from '../../kubernetes/api/client.ts';
import { ApiRejection } from '../../kubernetes/api/rejection.ts';
import { BalancerFile } from '../../protocol/k3s-balancer.ts';
import type { MachineContext } from '../context.ts';

/** Servers that are asked in turn: more than any cluster has. */
const SERVERS_MAX = 20;
/** Of one that has others beside it. */
const ANSWER_TIMEOUT_MS = 5_000;

/** What a machine is known by: the kubelet of a worker, the administrator on a server. */
const CREDENTIALS: Readonly<Record<K3sRole, readonly [string, string, string]>> = {
  agent: [K3S_AGENT_CA_FILE, K3S_KUBELET_CERTIFICATE_FILE, K3S_KUBELET_KEY_FILE],
  server: [K3S_SERVER_CA_FILE, K3S_ADMIN_CERTIFICATE_FILE, K3S_ADMIN_KEY_FILE],
};

/**
 * On a worker it may change this one Node, and evict or delete its pods (kubernetes.io, "Using Node
 * Authorization"). A server that does not answer is followed by the next one.
 * @param servers `https://host:6443`
 * @throws AgentError K3S_NOT_READY where this machine never became a node
 */
export async function clientAs(
  context: Pick<MachineContext, 'clock' | 'files' | 'http' | 'signal'>,
  role: K3sRole,
  node: string,
  servers: readonly string[],
): Promise<KubernetesClient> {
  const [ca, cert, key] = await Promise.all(
    CREDENTIALS[role].map((path) => context.files.readText(path)),
  );
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new AgentError('K3S_NOT_READY', 'This machine never became a node of its cluster', {
      hint: 'There is nothing to leave. To remove what is here: sudo pipeops-agent uninstall',
    });
  }
  let tried = 0;
  const http: Http = async (url, init = {}) => {
    const headers = new Headers(init.headers);
    headers.delete('authorization'); // The certificate says who asks.
    let isWell = false;
    try {
      const response = await context.http(url, {
        ...init,
        headers,
        tls: { ...init.tls, cert, key },
      });
      isWell = response.status < 500;
      return response;
    } finally {
      tried += isWell ? 0 : 1; // The next request goes to the next one.
    }
  };
  const current = async () => ({ server: servers[tried % servers.length] ?? '', ca, token: '' });
  const credentials = { current, reload: () => undefined };
  const client = kubernetesClient({ clock: context.clock, http, credentials });
  for (const _ of servers.slice(1, SERVERS_MAX)) {
    if (await answers(context, client, node)) {
      break;
    }
  }
  return client;
}

async function answers(
  { clock, signal }: Pick<MachineContext, 'clock' | 'signal'>,
  client: KubernetesClient,
  node: string,
): Promise<boolean> {
  try {
    await within(clock, ANSWER_TIMEOUT_MS, signal, (limited) =>
      client.find<V1Node>(pathOfNode(node), limited),
    );
    return true;
  } catch (thrown) {
    return thrown instanceof ApiRejection && thrown.status < 500;
  }
}

export function pathOfNode(node: string): string {
  return pathOfObject(KINDS.node, { name: node });
}

/** Servers that a worker may ask: the one it joined may have left since, and k3s knows the others. */
export async function serversOfWorker(
  { files }: { readonly files: Files },
  joined: string,
): Promise<readonly string[]> {
  try {
    const text = (await files.readText(K3S_BALANCER_FILE)) ?? '';
    const { ServerAddresses } = BalancerFile.parse(JSON.parse(text));
    return [...new Set([joined, ...ServerAddresses.map((address) => `https://${address}`)])];
  } catch {
    return [joined];
  }
}
