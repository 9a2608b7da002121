/** What an upgrade of this machine's k3s would be; changes nothing. */
import type { V1Node } from '@kubernetes/client-node';
import { requireUpgradable } from '../../core/k3s-version.ts';
import { KINDS, pathOfKind } from '../../core/kinds.ts';
import { takesPods } from '../../kubernetes/nodes/versions.ts';
import type { K3sUpgradeRecord } from '../../protocol/files/k3s-upgrade.ts';
import type { MachineContext } from '../context.ts';
import { requireServersWell } from './guard.ts';
import { type NodeHere, othersThan, requireReadyNode } from './here.ts';

export interface K3sUpgradePlan extends Pick<K3sUpgradeRecord, 'from' | 'to' | 'role' | 'node'> {
  /** Whether pods are moved away first. */
  readonly drains: boolean;
  /** What would be done, in order, for people; nothing where that version runs already. */
  readonly steps: readonly string[];
}

/**
 * @param wishes.drain false: the pods run on through the restart of k3s
 * @throws AgentError VERSION_REFUSED, K3S_NOT_READY, SERVERS_NOT_READY, SERVER_UNREACHABLE, KUBERNETES_API
 */
export async function planK3sUpgrade(
  context: MachineContext,
  here: NodeHere,
  { to, drain }: { readonly to: string; readonly drain: boolean },
): Promise<K3sUpgradePlan> {
  const { node, role, version: from } = here;
  const plan = { from, to, role, node };
  if (from === to) {
    return { ...plan, drains: false, steps: [] };
  }
  await requireReadyNode(context, here);
  const present = { name: node, isServer: role === 'server', version: from };
  requireUpgradable(present, to, await othersThan(context, here));
  await requireServersWell(context, here);
  const drains = drain && (await canMovePods(context, here));
  return { ...plan, drains, steps: stepsOf({ ...plan, drains }) };
}

/** A worker cannot see the others; but there is a server, which takes pods unless somebody has told it otherwise. */
async function canMovePods({ signal }: MachineContext, here: NodeHere): Promise<boolean> {
  if (here.role === 'agent') {
    return true;
  }
  const { items } = await here.client.page<V1Node>(pathOfKind(KINDS.node), {}, signal);
  return items.some((each) => each.metadata?.name !== here.node && takesPods(each));
}

function stepsOf({ from, to, role, drains }: Omit<K3sUpgradePlan, 'steps'>): readonly string[] {
  return [
    `Fetch k3s ${to} and check its hash; nothing that runs is touched`,
    ...(role === 'server' ? ["Make a snapshot of the cluster's data"] : []),
    drains
      ? 'Move the pods to other nodes, as their disruption budgets allow'
      : 'Leave the pods where they are: they run on while k3s restarts',
    `Put ${to} in the place of ${from}, which is kept beside it, and restart k3s`,
    'Wait until the node is ready as that version; if it is not, go back where that is safe',
    ...(drains ? ['Let the node take pods again'] : []),
  ];
}
