import type { Clock } from '../core/ports.ts';
import { within } from '../core/waiting.ts';
import { type NodeState, type NodeStates, ownNode } from '../kubernetes/nodes/states.ts';
import type { ClusterNodes, Reason } from '../protocol/local-api.ts';
import type { Readiness } from './readiness.ts';

/** How long an answer waits for the first list, after the start. */
const FIRST_LIST_WAIT_MS = 3_000;
/** Nodes listed by name; the ones that are not ready go first. */
const LISTED_MAX = 100;
/**
 * Nodes that are not ready are listed beyond that number, up to this one, beside a few ready ones.
 */
const NOT_READY_LISTED_MAX = 1_000;
const READY_LISTED_MIN = 10;
/** Nodes that get a warning each; the rest appear in the count. */
const WARNINGS_MAX = 5;
/** While Kubernetes does not answer, nothing known about the nodes is certain. */
const NO_ANSWER: readonly string[] = ['KUBERNETES_API', 'TIMEOUT'];

export interface ClusterNodesDeps {
  readonly clock: Clock;
  readonly nodes: NodeStates;
  /** Asked each time: the machine's addresses may change. */
  readonly machine: () => { readonly hostname: string; readonly addresses: readonly string[] };
}

/** Ready as `readiness` says, and only while the cluster considers this machine's node ready. */
export function withOwnNode(deps: ClusterNodesDeps, readiness: Readiness): Readiness {
  return async (signal) => {
    const answer = await readiness(signal);
    if (answer.reasons.some(({ code }) => NO_ANSWER.includes(code))) {
      return answer;
    }
    await within(deps.clock, FIRST_LIST_WAIT_MS, signal, (limited) => deps.nodes.settled(limited));
    const reasons = [...answer.reasons, ...ownReasons(deps)];
    return { ready: reasons.length === 0, reasons };
  };
}

function ownReasons(deps: ClusterNodesDeps): readonly Reason[] {
  const nodes = deps.nodes.current();
  if (nodes === undefined) {
    const message = 'The nodes of the cluster are not known yet';
    return [{ code: 'KUBERNETES_API', message, hint: 'See them: sudo k3s kubectl get nodes' }];
  }
  const own = ownNode(nodes, deps.machine());
  if (own === undefined) {
    const message = 'This machine is not among the nodes of the cluster';
    return [
      { code: 'K3S_NOT_READY', message, hint: 'Let it join again: sudo systemctl restart k3s' },
    ];
  }
  return own.notReady === undefined
    ? []
    : [
        {
          code: 'K3S_NOT_READY',
          message: `The node of this machine, "${own.name}", is not ready${because(own)}`,
          hint: 'Look at: sudo journalctl -u k3s',
        },
      ];
}

/** Other nodes that are down: this agent can work, but the cluster is not well. */
export function nodeWarnings(deps: ClusterNodesDeps): readonly Reason[] {
  const nodes = deps.nodes.current() ?? [];
  const own = ownNode(nodes, deps.machine());
  return nodes
    .filter((node) => node.notReady !== undefined && node !== own)
    .slice(0, WARNINGS_MAX)
    .map((node) => {
      const unit = node.isServer ? 'k3s' : 'k3s-agent';
      return {
        code: 'NODE_NOT_READY',
        message: `Node "${node.name}" is not ready${because(node)}`,
        hint: `On that machine: systemctl status ${unit}`,
      };
    });
}

/** ` since 2026-…: Kubelet stopped posting node status.` */
function because({ notReady }: NodeState): string {
  const since = notReady?.since == null ? '' : ` since ${notReady.since}`;
  return `${since}: ${notReady?.reason ?? ''}`;
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
