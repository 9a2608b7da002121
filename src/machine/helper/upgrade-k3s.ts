/**
 * An upgrade of k3s that the control plane leads through the cluster. Each node is asked by the annotation that a
 * server's administrator writes, this machine's own as well, so how far it is stands in the cluster alone. Which nodes
 * and which version were allowed stands in root's note; the rules of versions are asked here and by each node itself.
 */
import type { V1Node } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { K3S_WANTED_ANNOTATION } from '../../core/labels.ts';
import { openInventory } from '../../host/engine/inventory.ts';
import { readStateFile, writeStateFile } from '../../host/engine/state-file.ts';
import { K3S_LEAD_LIMIT_BYTES, K3S_LEAD_READER, K3sLead } from '../../protocol/files/k3s-lead.ts';
import type { HelperRequest, LedK3s, LedNode } from '../../protocol/helper.ts';
import type { WantedK3s } from '../../protocol/node-k3s.ts';
import type { MachineContext } from '../context.ts';
import { type NodeHere, nodeHere, othersThan } from '../k3s-upgrade/here.ts';
import { nodesToUpgrade, requireAllUpgradable } from '../k3s-upgrade/lead.ts';
import { askedOf } from '../k3s-upgrade/node-answer.ts';
import { planK3sUpgrade } from '../k3s-upgrade/plan.ts';
import { pathOfNode } from '../leave/client.ts';

type Request = Extract<HelperRequest, { verb: 'upgrade_k3s' }>;

const FILE_MODE = 0o600;
/** The longest time of its command: nobody goes on with what was allowed for it after that. */
const ALLOWED_FOR_MS = 8 * 24 * 3_600_000;
const ID_LENGTH = 16;

/**
 * Notes which nodes may be asked for which version. Begins none.
 * @throws AgentError NOT_A_SERVER, NOT_FOUND, VERSION_REFUSED, K3S_NOT_READY, SERVERS_NOT_READY, CLUSTER_EXISTS,
 *   NOT_INSTALLED, KUBERNETES_API, TIMEOUT, DISK_FULL
 */
export async function allowK3sUpgrade(context: MachineContext, request: Request): Promise<LedK3s> {
  const { command_id, version: to, node, drain } = request;
  const here = await serverHere(context);
  const known = await readLead(context);
  if (known?.command_id !== command_id) {
    const wanted = await requireWanted(context, here, to, node);
    const nodes = wanted.map(({ name, isServer, version: from }) => ({
      ...{ node: name, role: isServer ? ('server' as const) : ('worker' as const), from },
    }));
    const allowed_at = context.clock.now().toISOString();
    const lead: K3sLead = { v: K3S_LEAD_READER, command_id, allowed_at, to, drain, nodes };
    await writeStateFile(context, context.places.k3sLeadFile, lead, FILE_MODE);
  }
  return await ledK3s(context, command_id);
}

/** All that are not there yet, or one of them, all of which may go there. */
async function requireWanted(
  context: MachineContext,
  here: NodeHere,
  to: string,
  node: string | undefined,
) {
  const own = { name: here.node, isServer: true, version: here.version };
  const all = [own, ...(await othersThan(context, here))];
  if (node !== undefined && !all.some(({ name }) => name === node)) {
    throw new AgentError('NOT_FOUND', `The cluster has no node "${node}"`, {
      hint: 'See which it has: sudo pipeops-agent cluster-info',
    });
  }
  const behind = await nodesToUpgrade(context, here, to);
  const wanted = behind.filter(({ name }) => node === undefined || name === node);
  const others = all.filter(({ name }) => !wanted.some((each) => each.name === name));
  requireAllUpgradable(wanted, others, to);
  if (wanted.some(({ name }) => name === here.node)) {
    await planK3sUpgrade(context, here, { to, drain: false });
  }
  return wanted;
}

/**
 * Asks the next node for it, where none is at it and the one before has not failed.
 * @throws AgentError NOT_FOUND where nothing was allowed for this command, or too long ago; KUBERNETES_API, TIMEOUT
 */
export async function askNextNode(context: MachineContext, commandId: string): Promise<LedK3s> {
  const led = await ledK3s(context, commandId);
  if (led.state === 'none' || !(await isStillAllowed(context))) {
    throw new AgentError('NOT_FOUND', 'No upgrade of k3s is allowed for this command here', {
      hint: 'Send a new command',
    });
  }
  const stopped = led.nodes.some(({ state }) => ['asked', 'begun', 'failed'].includes(state));
  const next = stopped ? undefined : led.nodes.find(({ state }) => state === 'waits');
  if (next === undefined) {
    return led;
  }
  const { client } = await serverHere(context);
  const id = idOf(commandId, next.node);
  const wanted: WantedK3s = { id, to: led.to, drain: led.drain };
  const annotations = { [K3S_WANTED_ANNOTATION]: JSON.stringify(wanted) };
  await client.patch<V1Node>(pathOfNode(next.node), { metadata: { annotations } }, context.signal);
  return await ledK3s(context, commandId);
}

async function isStillAllowed(context: MachineContext): Promise<boolean> {
  const since = Date.parse((await readLead(context))?.allowed_at ?? '');
  return context.clock.now().getTime() - since <= ALLOWED_FOR_MS;
}

/** How far it is. @throws AgentError KUBERNETES_API, TIMEOUT while the API restarts; STATE_NEWER, FILE_ACCESS */
export async function ledK3s(context: MachineContext, commandId: string): Promise<LedK3s> {
  const lead = await readLead(context);
  if (lead?.command_id !== commandId) {
    return { state: 'none' };
  }
  const { client } = await serverHere(context);
  const nodes: LedNode[] = [];
  for (const each of lead.nodes) {
    const found = await client.find<V1Node>(pathOfNode(each.node), context.signal);
    nodes.push({ ...each, ...stateOf(found, idOf(commandId, each.node), lead.to) });
  }
  return { state: 'led', to: lead.to, drain: lead.drain, nodes };
}

function stateOf(
  found: V1Node | undefined,
  id: string,
  to: string,
): Pick<LedNode, 'state' | 'why'> {
  if (found === undefined) {
    return { state: 'gone', why: null };
  }
  const { wanted, state } = askedOf(found);
  const runs = found.status?.nodeInfo?.kubeletVersion === to;
  if (wanted?.id !== id) {
    return { state: runs ? 'done' : 'waits', why: null };
  }
  if (state?.id !== id) {
    return { state: 'asked', why: null };
  }
  if (state.state === 'failed') {
    return { state: 'failed', why: state.why };
  }
  return { state: state.state === 'done' && runs ? 'done' : 'begun', why: null };
}

async function serverHere(context: MachineContext): Promise<NodeHere> {
  const here = await nodeHere(context, await openInventory(context));
  if (here.role !== 'server') {
    throw new AgentError('NOT_A_SERVER', 'Only a server can ask the nodes of its cluster', {
      hint: 'Upgrade this node alone: sudo pipeops-agent upgrade k3s',
    });
  }
  return here;
}

function readLead(context: MachineContext): Promise<K3sLead | undefined> {
  return readStateFile(context, {
    path: context.places.k3sLeadFile,
    schema: K3sLead,
    reader: K3S_LEAD_READER,
    safe: 'the version that wrote it goes on',
    repair: 'Remove it, and send the command again',
    limitBytes: K3S_LEAD_LIMIT_BYTES,
  });
}

/** The same at each attempt, on any server. */
function idOf(commandId: string, node: string): string {
  const digest = new Bun.CryptoHasher('sha256').update(`${commandId}\n${node}`).digest('hex');
  return digest.slice(0, ID_LENGTH);
}
