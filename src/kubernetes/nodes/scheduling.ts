import type { V1Node } from '@kubernetes/client-node';
import { KINDS, pathOfKind, pathOfObject } from '../../core/kinds.ts';
import type { KubernetesClient } from '../api/client.ts';

interface Asking {
  readonly kubernetes: KubernetesClient;
  readonly signal: AbortSignal;
}

/**
 * Lets a node take new pods, or not. Safe to repeat.
 * @throws AgentError NOT_FOUND
 */
export async function setSchedulable(
  context: Asking,
  node: string,
  schedulable: boolean,
): Promise<void> {
  if ((await takesPods(context, node)) !== schedulable) {
    const patch = { spec: { unschedulable: schedulable ? null : true } };
    await context.kubernetes.patch<V1Node>(pathOf(node), patch, context.signal);
  }
}

/** @throws AgentError NOT_FOUND */
export async function takesPods({ kubernetes, signal }: Asking, node: string): Promise<boolean> {
  return isSchedulable(await kubernetes.get<V1Node>(pathOf(node), signal));
}

function pathOf(node: string): string {
  return pathOfObject(KINDS.node, { name: node });
}

function isSchedulable(node: V1Node): boolean {
  return node.spec?.unschedulable !== true;
}

/** What to add when no node takes pods: evicted ones wait until one does. Empty otherwise. */
export async function noNodeLeft(context: Asking): Promise<string> {
  const { items } = await context.kubernetes.page<V1Node>(
    pathOfKind(KINDS.node),
    {},
    context.signal,
  );
  return items.some(isSchedulable)
    ? ''
    : 'No other node takes pods: new and evicted ones wait until a node is uncordoned or joins.\n';
}
