/** What nodes and pods use now, for the local API. */
import type { KubernetesObject } from '@kubernetes/client-node';
import { AgentError, toAgentError } from '../core/errors.ts';
import { KINDS, pathOfKind } from '../core/kinds.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import type { ReadNodeUsage } from '../kubernetes/usage/cluster.ts';
import { parseQuantity } from '../kubernetes/usage/quantity.ts';
import type { NodeRow } from '../kubernetes/watch/cluster-status.ts';
import type { NodeUsageRow, PodUsageRow } from '../protocol/local-cluster.ts';

interface PodMetrics extends KubernetesObject {
  readonly containers?: readonly {
    readonly usage?: { readonly cpu?: string; readonly memory?: string };
  }[];
}

/** Nodes that nobody can measure are left out. */
export async function nodeUsageRows(
  read: ReadNodeUsage,
  nodes: readonly NodeRow[],
  signal: AbortSignal,
): Promise<NodeUsageRow[]> {
  const measured = await read(nodes, signal);
  return nodes.flatMap(({ status: { name, resources } }) => {
    const usage = measured.get(name);
    const { cpu, memory } = resources.capacity;
    return usage === undefined
      ? []
      : [
          {
            name,
            cpu: usage.cores,
            memory_bytes: usage.bytes,
            cpu_capacity: parseQuantity(cpu ?? '') ?? null,
            memory_capacity_bytes: parseQuantity(memory ?? '') ?? null,
          },
        ];
  });
}

/** @throws AgentError NOT_FOUND where nothing in the cluster measures pods */
export async function podUsageRows(
  client: Pick<KubernetesClient, 'eachOfPage'>,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<PodUsageRow[]> {
  const rows: PodUsageRow[] = [];
  let next: string | undefined;
  try {
    do {
      const page = await client.eachOfPage<PodMetrics>(
        pathOfKind(KINDS.podMetrics, namespace),
        next === undefined ? {} : { continue: next },
        (pod) => void rows.push(podUsageRow(pod)),
        signal,
      );
      next = page.next;
    } while (next !== undefined);
  } catch (thrown) {
    if (toAgentError(thrown).code !== 'NOT_FOUND') {
      throw thrown;
    }
    throw new AgentError('NOT_FOUND', 'Nothing in this cluster measures what pods use', {
      hint: 'Install metrics-server; what nodes use is known without it',
      cause: thrown,
    });
  }
  return rows;
}

function podUsageRow({ metadata, containers = [] }: PodMetrics): PodUsageRow {
  const sum = (field: 'cpu' | 'memory') =>
    containers.reduce((total, { usage }) => total + (parseQuantity(usage?.[field] ?? '') ?? 0), 0);
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    cpu: sum('cpu'),
    memory_bytes: sum('memory'),
  };
}
