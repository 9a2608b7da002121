/** What is to leave here, and whether it may: looked at before anybody is asked. */
import { nodeNameOf } from '../../config/node-settings.ts';
import { AgentError } from '../../core/errors.ts';
import type { K3sRole } from '../../core/k3s-places.ts';
import { ADOPTED } from '../../host/cluster/adopted-k3s.ts';
import { readClusterInfo } from '../../host/cluster/info.ts';
import { readJoined } from '../../host/cluster/joined-worker.ts';
import { readLeaveNote } from '../../host/cluster/leave-note.ts';
import { fewServers, serversWithout } from '../../host/cluster/server-leave.ts';
import type { HostInventory } from '../../host/engine/inventory.ts';
import { readK3sConfig } from '../../host/k3s/config.ts';
import type { LeaveNote } from '../../protocol/files/leave-note.ts';
import type { MachineContext } from '../context.ts';
import { clientAs, serversOfWorker } from './client.ts';
import type { LeavingNode } from './move-pods.ts';

/** A machine that is to leave its cluster. */
export interface Leaving {
  readonly role: K3sRole;
  readonly node: string;
  /** The way to the cluster; undefined where there is nothing left to ask it, or nobody who answers. */
  readonly cluster: (LeavingNode & { readonly servers: readonly string[] }) | undefined;
  /** How far an earlier run came. */
  readonly note: LeaveNote | undefined;
  /** What a person is to know before it begins. */
  readonly warnings: readonly string[];
}

/**
 * @param options.force also where the cluster does not answer
 * @throws AgentError NOT_INSTALLED; CLUSTER_EXISTS on the only server; SERVERS_NOT_READY, KUBERNETES_API on a
 *   server; K3S_NOT_READY
 */
export async function findLeaving(
  context: MachineContext,
  inventory: HostInventory,
  { force }: { readonly force: boolean },
): Promise<Leaving> {
  const note = await readLeaveNote(context);
  if (note !== undefined) {
    return await goOn(context, note);
  }
  // Of k3s' own settings: those of the agent go first, and a run that was ended then goes on here.
  const name = (await readK3sConfig(context))?.['node-name'];
  const node = nodeNameOf(context.hostname, typeof name === 'string' ? name : undefined);
  if (inventory.has('k3s', 'server')) {
    return await leavingServer(context, node, force);
  }
  if (inventory.has(ADOPTED.kind, ADOPTED.name)) {
    throw new AgentError('CLUSTER_EXISTS', 'The k3s of this server was here before the agent', {
      hint: 'It is not ours to take away. To remove the agent alone: sudo pipeops-agent uninstall',
    });
  }
  const joined = await readJoined(context);
  if (!inventory.has('k3s', 'agent') || joined === undefined) {
    throw new AgentError('NOT_INSTALLED', 'This machine has joined no cluster', {
      hint: 'To remove what was installed: sudo pipeops-agent uninstall',
    });
  }
  const servers = await serversOfWorker(context, joined.serverUrl);
  const client = await clientAs(context, 'agent', node, servers);
  return { role: 'agent', node, cluster: { node, client, servers }, note, warnings: [] };
}

async function goOn(context: MachineContext, note: LeaveNote): Promise<Leaving> {
  const { role, node, servers, state } = note;
  const cluster =
    state === 'leaving'
      ? { node, servers, client: await clientAs(context, role, node, servers) }
      : undefined;
  return { role, node, cluster, note, warnings: [] };
}

async function leavingServer(
  context: MachineContext,
  node: string,
  force: boolean,
): Promise<Leaving> {
  const found = { role: 'server', node, note: undefined } as const;
  const nodes = await nodesOf(context, force);
  if (nodes === undefined) {
    const warnings = [
      'Kubernetes does not answer here: the cluster is not told, and its other servers keep the place of ' +
        'this one in etcd, as of a server that is lost.',
    ];
    return { ...found, cluster: undefined, warnings };
  }
  const servers = await serversWithout(context, node, nodes);
  const client = await clientAs(context, 'server', node, servers);
  const warnings = [fewServers(servers.length) ?? []].flat();
  return { ...found, cluster: { node, client, servers }, warnings };
}

async function nodesOf(context: MachineContext, force: boolean) {
  try {
    return (await readClusterInfo(context)).nodes;
  } catch (thrown) {
    if (force && thrown instanceof AgentError) {
      return undefined;
    }
    throw thrown;
  }
}
