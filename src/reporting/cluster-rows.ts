import type { CoreV1Event } from '@kubernetes/client-node';
import { AgentError } from '../core/errors.ts';
import { KINDS, pathOfKind } from '../core/kinds.ts';
import type { Clock } from '../core/ports.ts';
import { within } from '../core/waiting.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import type { ReadNodeUsage } from '../kubernetes/usage/cluster.ts';
import type { ClusterRows, EventRow, KnownRows } from '../protocol/local-cluster.ts';
import type { ClusterState } from './cluster-state.ts';
import { eventRow } from './event-row.ts';
import { nodeUsageRows, podUsageRows } from './usage-rows.ts';

/** How long a question waits for the first list of a kind. */
const FIRST_LIST_WAIT_MS = 10_000;
const EVENTS_PAGE = 500;
/** Events are not followed but read when somebody asks, and no more than these. */
const EVENTS_MAX = 5_000;

interface Deps {
  readonly clock: Clock;
  readonly client: KubernetesClient;
  readonly readNodeUsage: ReadNodeUsage;
}

export type ReadClusterRows = <Kind extends keyof ClusterRows>(
  kind: Kind,
  signal: AbortSignal,
  namespace?: string,
) => Promise<KnownRows<ClusterRows[Kind]>>;

/**
 * The objects of a kind as they are known now, in rows: all of them, but of events.
 * @param want has the cluster followed from now on
 */
export function clusterRows(deps: Deps, state: ClusterState, want: () => void): ReadClusterRows {
  const { cache } = state;
  const known = async (kind: keyof typeof cache & keyof ClusterRows, signal: AbortSignal) => {
    want();
    const kept = cache[kind];
    await within(deps.clock, FIRST_LIST_WAIT_MS, signal, (limited) => kept.settled(limited));
    if (!kept.isKnown()) {
      const why = kept.trouble?.message ?? 'it has not answered yet';
      throw new AgentError('KUBERNETES_API', `The ${kind} of the cluster are not known: ${why}`, {
        hint: kept.trouble?.hint ?? 'Check that k3s runs: systemctl status k3s',
      });
    }
  };
  const readers: {
    [Kind in keyof ClusterRows]: (
      signal: AbortSignal,
      namespace: string | undefined,
    ) => Promise<KnownRows<ClusterRows[Kind]>>;
  } = {
    nodes: async (signal) => {
      await known('nodes', signal);
      return all(cache.nodes.rows().map(({ status }) => status));
    },
    namespaces: async (signal) => {
      await known('namespaces', signal);
      return all(cache.namespaces.rows().map((name) => ({ name })));
    },
    deployments: async (signal) => {
      await known('deployments', signal);
      return all(cache.deployments.rows());
    },
    services: async (signal) => {
      await known('services', signal);
      return all(cache.services.rows());
    },
    pods: async (signal) => {
      await known('pods', signal);
      return all(cache.pods.rows());
    },
    'usage/nodes': async (signal) => {
      await known('nodes', signal);
      return all(await nodeUsageRows(deps.readNodeUsage, cache.nodes.rows(), signal));
    },
    'usage/pods': async (signal, namespace) =>
      all(await podUsageRows(deps.client, namespace, signal)),
    events: (signal, namespace) => readEvents(deps, signal, namespace),
  };
  return (kind, signal, namespace) => readers[kind](signal, namespace);
}

function all<Row>(rows: readonly Row[]): KnownRows<Row> {
  return { rows, isTruncated: false };
}

async function readEvents(
  { client }: Deps,
  signal: AbortSignal,
  namespace: string | undefined,
): Promise<KnownRows<EventRow>> {
  const rows: EventRow[] = [];
  let next: string | undefined;
  do {
    const query = { limit: EVENTS_PAGE, ...(next === undefined ? {} : { continue: next }) };
    const path = pathOfKind(KINDS.event, namespace);
    const page = await client.eachOfPage<CoreV1Event>(
      path,
      query,
      (event) => void rows.push(eventRow(event)),
      signal,
    );
    next = page.next;
  } while (next !== undefined && rows.length < EVENTS_MAX);
  return { rows, isTruncated: next !== undefined };
}
