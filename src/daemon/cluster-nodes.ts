import type { NodeFacts } from '../health/facts.ts';
import { type NodeState, type NodeStates, ownNode } from '../kubernetes/nodes/states.ts';
import type { ClusterNodes } from '../protocol/local-api.ts';

/** Nodes listed by name; the ones that are not ready go first. */
const LISTED_MAX = 100;
/**
 * Nodes that are not ready are listed beyond that number, up to this one, beside a few ready ones.
 */
const NOT_READY_LISTED_MAX = 1_000;
const READY_LISTED_MIN = 10;

export interface ClusterNodesDeps {
  readonly nodes: Pick<NodeStates, 'current'>;
  /** Asked each time: the machine's addresses may change. */
  readonly machine: () => { readonly hostname: string; readonly addresses: readonly string[] };
}

/** For judging them; `unknown` while they are not known. */
export function nodeFacts(deps: ClusterNodesDeps): NodeFacts | 'unknown' {
  const nodes = deps.nodes.current();
  if (nodes === undefined) {
    return 'unknown';
  }
  const own = ownNode(nodes, deps.machine());
  return { own, others: nodes.filter((node) => node !== own) };
}

function listed(notReady: readonly NodeState[], ready: readonly NodeState[]): readonly NodeState[] {
  const others = Math.max(LISTED_MAX - notReady.length, READY_LISTED_MIN);
  return [...notReady.slice(0, NOT_READY_LISTED_MAX), ...ready.slice(0, others)];
}

/** What `status` shows of the nodes; null while they are not known. */
export function describeNodes(deps: ClusterNodesDeps): ClusterNodes | null {
  const nodes = deps.nodes.current();
  if (nodes === undefined) {
    return null;
  }
  const own = ownNode(nodes, deps.machine());
  const notReady = nodes.filter((node) => node.notReady !== undefined);
  const ready = nodes.filter((node) => node.notReady === undefined);
  const ownFirst = [
    ...ready.filter((node) => node === own),
    ...ready.filter((node) => node !== own),
  ];
  return {
    total: nodes.length,
    ready: ready.length,
    list: listed(notReady, ownFirst).map((node) => ({
      name: node.name,
      role: node.isServer ? 'server' : 'worker',
      ready: node.notReady === undefined,
      since: node.notReady?.since ?? null,
      reason: node.notReady?.reason ?? null,
      self: node === own,
    })),
  };
}
