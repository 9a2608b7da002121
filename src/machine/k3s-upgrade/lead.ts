/**
 * Brings all nodes of the cluster to one k3s, from a server: servers first, then workers, one node at a time. How far it
 * is stands in the cluster itself, so whoever begins it again, here or on another server, goes on.
 */
import type { V1Node } from '@kubernetes/client-node';
import { AgentError, expectedError } from '../../core/errors.ts';
import { requireUpgradable, type VersionedNode } from '../../core/k3s-version.ts';
import { KINDS, pathOfKind } from '../../core/kinds.ts';
import { K3S_WANTED_ANNOTATION } from '../../core/labels.ts';
import type { Progress } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import { isConditionTrue } from '../../kubernetes/api/condition.ts';
import { versionedNode } from '../../kubernetes/nodes/versions.ts';
import type { WantedK3s } from '../../protocol/node-k3s.ts';
import type { MachineContext } from '../context.ts';
import { pathOfNode } from '../leave/client.ts';
import type { NodeHere } from './here.ts';
import { askedOf } from './node-answer.ts';

const ID_BYTES = 8;
const LOOK_INTERVAL_MS = 2_000;
/** A node looks once a minute. */
const BEGIN_LIMIT_MS = 5 * 60_000;
/** Pods that move, a download, and both versions may each take their time. */
const NODE_LIMIT_MS = 60 * 60_000;

interface NodeToDo extends VersionedNode {
  readonly isReady: boolean;
}

export interface LeadWishes {
  readonly to: string;
  readonly drain: boolean;
}

/** Nodes that have another version, in the order in which they get it: this server first, workers last. */
export async function nodesToUpgrade(
  { signal }: Pick<MachineContext, 'signal'>,
  { client, node }: NodeHere,
  to: string,
): Promise<readonly NodeToDo[]> {
  const { items } = await client.page<V1Node>(pathOfKind(KINDS.node), {}, signal);
  const rank = (each: VersionedNode) => (each.name === node ? 0 : each.isServer ? 1 : 2);
  return items
    .map((item) => ({
      ...versionedNode(item),
      isReady: isConditionTrue(item.status?.conditions, 'Ready'),
    }))
    .filter(({ version }) => version !== to)
    .sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

/**
 * Whether all of them may go there in that order; a node that is not well stops it before anything is changed.
 * @throws AgentError VERSION_REFUSED, K3S_NOT_READY
 */
export function requireAllUpgradable(
  nodes: readonly NodeToDo[],
  current: readonly VersionedNode[],
  to: string,
): void {
  const done = [...current];
  for (const [index, node] of nodes.entries()) {
    if (!node.isReady) {
      throw new AgentError('K3S_NOT_READY', `The node "${node.name}" is not ready`, {
        hint: 'Bring it back first, or upgrade one node at a time: --this-node',
      });
    }
    requireUpgradable(node, to, [...done, ...nodes.slice(index + 1)]);
    done.push({ ...node, version: to });
  }
}

/**
 * Asks another node for it, and waits until its machine has answered.
 * @throws AgentError UPGRADE_FAILED with what it said; INTERRUPTED: the node goes on by itself
 */
export async function upgradeOther(
  context: MachineContext,
  here: NodeHere,
  name: string,
  wishes: LeadWishes,
): Promise<void> {
  const progress = await context.progress(`Upgrade k3s on ${name} to ${wishes.to}`);
  try {
    await ask(context, here, name, wishes);
    await followOther(context, here, name, wishes.to, progress);
    progress.done();
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}

/** A request of an earlier run that has not failed stays: the node may be at it. */
async function ask(
  { random, signal }: MachineContext,
  { client }: NodeHere,
  name: string,
  { to, drain }: LeadWishes,
): Promise<void> {
  const path = pathOfNode(name);
  const { wanted, state } = askedOf(await client.get<V1Node>(path, signal));
  const isOpen = wanted?.to === to && (state?.id !== wanted.id || state.state === 'begun');
  if (!isOpen) {
    const request: WantedK3s = {
      id: Buffer.from(random.bytes(ID_BYTES)).toString('hex'),
      to,
      drain,
    };
    const annotations = { [K3S_WANTED_ANNOTATION]: JSON.stringify(request) };
    await client.patch<V1Node>(path, { metadata: { annotations } }, signal);
  }
}

async function followOther(
  context: MachineContext,
  { client }: NodeHere,
  name: string,
  to: string,
  progress: Pick<Progress, 'update'>,
): Promise<void> {
  const { clock, signal } = context;
  const startedAt = clock.monotonic();
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: NODE_LIMIT_MS };
  const end = await pollUntil(clock, pace, signal, async () => {
    const found = await client.find<V1Node>(pathOfNode(name), signal).catch(unanswered);
    const { wanted, state } = found === undefined ? {} : askedOf(found);
    const answer = state?.id === wanted?.id ? state : undefined;
    if (answer?.state === 'done' && found?.status?.nodeInfo?.kubeletVersion === to) {
      return { found: undefined };
    }
    if (answer?.state === 'failed') {
      return { found: `it says: ${answer.why}` };
    }
    const isLate = clock.monotonic() - startedAt > BEGIN_LIMIT_MS;
    if (found !== undefined && answer === undefined && isLate) {
      return { found: 'its agent has not begun; it may be stopped, or an older one' };
    }
    progress.update(answer === undefined ? 'asked; a node looks once a minute' : 'under way');
    return { soFar: 'it has not ended' };
  });
  if (end.kind === 'aborted') {
    throw interrupted(`while k3s was upgraded on ${name}, which goes on by itself`);
  }
  const why = end.kind === 'found' ? end.found : end.soFar;
  if (why !== undefined) {
    throw new AgentError('UPGRADE_FAILED', `k3s was not upgraded on ${name}: ${why}`, {
      hint: `See there: journalctl -u pipeops-agent-k3s-upgrade. Mend it, then run the same command again: it goes on there`,
      details: { node: name },
    });
  }
}

/** An API that restarts, or whose server does. */
function unanswered(thrown: unknown): undefined {
  expectedError(thrown);
}
