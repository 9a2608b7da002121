import type { V1Node } from '@kubernetes/client-node';
import { KINDS, pathOfKind } from '../../core/kinds.ts';
import { CONTROL_PLANE_LABEL } from '../../core/labels.ts';
import type { Clock } from '../../core/ports.ts';
import type { Service } from '../../core/service.ts';
import { isConditionTrue } from '../api/condition.ts';
import { KindCache } from '../watch/kind-cache.ts';
import type { FollowKind } from '../watch/shared-following.ts';

/** Characters kept of why a node is not ready. */
const REASON_LENGTH_MAX = 300;

export interface NodeState {
  readonly name: string;
  readonly isServer: boolean;
  readonly addresses: readonly string[];
  /** Why and since when it is not ready; undefined while it is. */
  readonly notReady: { readonly since: string | null; readonly reason: string } | undefined;
  /** What its kubelet is short of, while it is: then it takes no pods, and evicts some. */
  readonly shortOf: readonly Shortage[];
}

export type Shortage = 'disk' | 'memory' | 'process ids';

/** Conditions of a node (kubernetes.io, "Node-pressure Eviction"). */
const SHORTAGES: readonly (readonly [condition: string, Shortage])[] = [
  ['DiskPressure', 'disk'],
  ['MemoryPressure', 'memory'],
  ['PIDPressure', 'process ids'],
];

export interface NodeStates {
  /** Undefined while they are not known. */
  current(): readonly NodeState[] | undefined;
  /** Resolves when the first list is there or has failed, or at the signal. */
  settled(signal: AbortSignal): Promise<void>;
  /** Follows the nodes. */
  readonly service: Service;
}

/** Which nodes the cluster has, and which of them are ready, by a watch: asking costs nothing. */
export function nodeStates(deps: {
  readonly clock: Clock;
  readonly follow: FollowKind;
}): NodeStates {
  const cache = new KindCache<V1Node, NodeState>(deps, {
    key: (node) => node.metadata?.name ?? '',
    pick: nodeState,
  });
  return {
    current: () =>
      cache.isKnown() ? cache.rows().sort((a, b) => a.name.localeCompare(b.name)) : undefined,
    settled: (signal) => cache.settled(signal),
    service: {
      name: 'nodes',
      start: async (signal) => ({ done: deps.follow(pathOfKind(KINDS.node), cache, signal) }),
    },
  };
}

function nodeState(node: V1Node): NodeState {
  return {
    name: node.metadata?.name ?? '',
    isServer: node.metadata?.labels?.[CONTROL_PLANE_LABEL] !== undefined,
    addresses: (node.status?.addresses ?? []).map(({ address }) => address),
    notReady: notReady(node),
    shortOf: SHORTAGES.flatMap(([condition, what]) =>
      isConditionTrue(node.status?.conditions, condition) ? [what] : [],
    ),
  };
}

/**
 * Why a node is not ready, in the words of its kubelet, or of the controller that misses the
 * kubelet.
 */
function notReady(node: V1Node): NodeState['notReady'] {
  const condition = node.status?.conditions?.find(({ type }) => type === 'Ready');
  if (condition?.status === 'True') {
    return undefined;
  }
  const { lastTransitionTime: since, message, reason } = condition ?? {};
  const text = message || reason || 'its kubelet has not reported yet';
  return {
    // On the wire it is text; client-node's type says Date.
    since: since === undefined ? null : String(since),
    reason: text.slice(0, REASON_LENGTH_MAX),
  };
}

/**
 * Finds this machine among them: by its name or, when k3s was given another one, by its address.
 */
export function ownNode(
  nodes: readonly NodeState[],
  machine: { readonly hostname: string; readonly addresses: readonly string[] },
): NodeState | undefined {
  const name = machine.hostname.toLowerCase();
  return (
    nodes.find((node) => node.name === name) ??
    nodes.find((node) => node.addresses.some((each) => machine.addresses.includes(each)))
  );
}
