/** This machine as a node whose k3s is to be upgraded, and the way to its cluster while its own k3s restarts. */
import type { V1Node, VersionInfo } from '@kubernetes/client-node';
import { AgentError, expectedError } from '../../core/errors.ts';
import { K3S_UNITS, type K3sRole } from '../../core/k3s-places.ts';
import type { VersionedNode } from '../../core/k3s-version.ts';
import { KINDS, pathOfKind } from '../../core/kinds.ts';
import { ADOPTED } from '../../host/cluster/adopted-k3s.ts';
import { readJoined } from '../../host/cluster/joined-worker.ts';
import type { HostInventory } from '../../host/engine/inventory.ts';
import { apiAddress } from '../../host/k3s/kubectl.ts';
import { installedK3sVersion } from '../../host/k3s/program.ts';
import type { KubernetesClient } from '../../kubernetes/api/client.ts';
import { isConditionTrue } from '../../kubernetes/api/condition.ts';
import { versionedNode } from '../../kubernetes/nodes/versions.ts';
import type { MachineContext } from '../context.ts';
import { clientAs, pathOfNode, serversOfWorker } from '../leave/client.ts';
import { whoseHere } from '../snapshots/whose.ts';

export interface NodeHere {
  readonly role: K3sRole;
  readonly node: string;
  /** Of the program that stands here. */
  readonly version: string;
  readonly client: KubernetesClient;
  /** Where servers answer. */
  readonly servers: readonly string[];
}

/**
 * @throws AgentError NOT_INSTALLED; CLUSTER_EXISTS where k3s was here before us; K3S_NOT_READY
 */
export async function nodeHere(
  context: MachineContext,
  inventory: HostInventory,
): Promise<NodeHere> {
  if (inventory.has(ADOPTED.kind, ADOPTED.name)) {
    throw new AgentError('CLUSTER_EXISTS', 'The k3s of this machine was here before the agent', {
      hint: 'Upgrade it as it was set up (docs.k3s.io, "Upgrades"): the agent never changes it',
    });
  }
  const role = inventory.has('k3s', 'server') ? 'server' : 'agent';
  const version = await installedK3sVersion(context);
  if (version === undefined || !inventory.has('k3s', role)) {
    throw new AgentError('NOT_INSTALLED', 'There is no k3s of the agent on this machine', {
      hint: 'Set it up first: sudo pipeops-agent install, or join',
    });
  }
  const { node } = await whoseHere(context);
  const servers = await serversOf(context, role);
  return { role, node, version, servers, client: await clientAs(context, role, node, servers) };
}

async function serversOf(context: MachineContext, role: K3sRole): Promise<readonly string[]> {
  if (role === 'server') {
    return [apiAddress('127.0.0.1')]; // The data are the same behind all of them.
  }
  return await serversOfWorker(context, (await readJoined(context))?.serverUrl ?? '');
}

/** This machine's Node. @throws AgentError K3S_NOT_READY where it is none, or not well; KUBERNETES_API, TIMEOUT */
export async function requireReadyNode(
  { signal }: Pick<MachineContext, 'signal'>,
  { client, node, role }: NodeHere,
): Promise<V1Node> {
  const found = await client.find<V1Node>(pathOfNode(node), signal);
  if (found === undefined || !isConditionTrue(found.status?.conditions, 'Ready')) {
    throw new AgentError(
      'K3S_NOT_READY',
      `The node "${node}" is not ready: an upgrade mends nothing`,
      {
        hint: `See why: sudo pipeops-agent doctor; journalctl -u ${K3S_UNITS[role]}`,
      },
    );
  }
  return found;
}

/**
 * The nodes beside this one. A worker's own credentials show it no others: it hears from each server only its version.
 * @throws AgentError KUBERNETES_API, TIMEOUT
 */
export async function othersThan(
  context: MachineContext,
  here: NodeHere,
): Promise<readonly VersionedNode[]> {
  if (here.role === 'server') {
    const { items } = await here.client.page<V1Node>(pathOfKind(KINDS.node), {}, context.signal);
    return items.map(versionedNode).filter(({ name }) => name !== here.node);
  }
  const asked = await Promise.all(here.servers.map((url) => versionOf(context, here, url)));
  const known = asked.filter((each) => each !== undefined);
  if (known.length === 0) {
    throw new AgentError('SERVER_UNREACHABLE', 'No server of the cluster tells its version', {
      hint: 'Check on a server that k3s runs: sudo pipeops-agent doctor',
    });
  }
  return known;
}

async function versionOf(
  context: MachineContext,
  { role, node }: NodeHere,
  url: string,
): Promise<VersionedNode | undefined> {
  try {
    const client = await clientAs(context, role, node, [url]);
    const text = await client.text('/version', {}, context.signal);
    const { gitVersion } = JSON.parse(text) as VersionInfo;
    return { name: url, isServer: true, version: gitVersion };
  } catch (thrown) {
    expectedError(thrown);
    return undefined; // It may be gone; the others count.
  }
}
