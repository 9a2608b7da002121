/** What this machine tells on its own Node of the k3s that a server asks it for. */
import type { V1Node } from '@kubernetes/client-node';
import { K3S_STATE_ANNOTATION, K3S_WANTED_ANNOTATION } from '../../core/labels.ts';
import { readK3sUpgradeResult } from '../../host/k3s/upgrade/record.ts';
import { NODE_K3S_WHY_MAX, NodeK3sState, readNodeK3s, WantedK3s } from '../../protocol/node-k3s.ts';
import type { MachineContext } from '../context.ts';
import { pathOfNode } from '../leave/client.ts';
import type { NodeHere } from './here.ts';

/** What is asked of a Node, and what its machine has answered. */
export function askedOf({ metadata }: V1Node): {
  readonly wanted: WantedK3s | undefined;
  readonly state: NodeK3sState | undefined;
} {
  const { annotations = {} } = metadata ?? {};
  return {
    wanted: readNodeK3s(WantedK3s, annotations[K3S_WANTED_ANNOTATION]),
    state: readNodeK3s(NodeK3sState, annotations[K3S_STATE_ANNOTATION]),
  };
}

/**
 * Tells how the last upgrade ended, where it was the one that is asked for and nobody was told yet.
 * @returns what is asked for and was not answered; undefined where nothing is
 * @throws AgentError KUBERNETES_API, TIMEOUT, FILE_ACCESS
 */
export async function answeredOrOpen(
  context: MachineContext,
  here: NodeHere,
): Promise<WantedK3s | undefined> {
  const found = await here.client.find<V1Node>(pathOfNode(here.node), context.signal);
  const { wanted, state } = found === undefined ? {} : askedOf(found);
  const isAnswered = state?.id === wanted?.id && state?.state !== 'begun';
  if (wanted === undefined || isAnswered) {
    return undefined;
  }
  const result = await readK3sUpgradeResult(context);
  if (result?.id !== wanted.id) {
    return wanted;
  }
  const { id, outcome, why } = result;
  await answerOnNode(context, here, { id, state: outcome === 'done' ? 'done' : 'failed', why });
  return undefined;
}

/** @throws AgentError KUBERNETES_API, TIMEOUT */
export async function answerOnNode(
  { signal }: Pick<MachineContext, 'signal'>,
  { client, node }: Pick<NodeHere, 'client' | 'node'>,
  { id, state, why }: NodeK3sState,
): Promise<void> {
  const answer = { id, state, why: why?.slice(0, NODE_K3S_WHY_MAX) ?? null };
  const annotations = { [K3S_STATE_ANNOTATION]: JSON.stringify(answer) };
  await client.patch<V1Node>(pathOfNode(node), { metadata: { annotations } }, signal);
}
