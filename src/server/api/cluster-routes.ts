import { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import {
  type ClusterRows,
  type KnownRows,
  NOT_READY_NAMED_MAX,
  type WorkloadSummary,
} from '../../protocol/local-cluster.ts';
import { pageOf } from './page.ts';
import { type Route, type RouteContext, route, streamRoute } from './route.ts';
import type { ClusterKind } from './sources.ts';

export function clusterRoutes(deps: { readonly clock: Clock }): readonly Route[] {
  const page = async <Kind extends ClusterKind>(
    context: RouteContext,
    kind: Kind,
    query: PageQuery,
  ) => {
    const { rows } = await knownRows(context, kind, query.namespace);
    return await pageOf(deps, rows, { ...query, wanted: wantedBy(query) });
  };
  const eventsPage = async (context: RouteContext, query: PageQuery) => {
    const { rows, isTruncated } = await knownRows(context, 'events', query.namespace);
    const found = await pageOf(deps, rows, { ...query, wanted: wantedBy(query) });
    return { ...found, truncated: isTruncated };
  };
  return [
    route('GET /api/k8s/summary', summary),
    route('GET /api/k8s/nodes', (context, query) => page(context, 'nodes', query)),
    route('GET /api/k8s/namespaces', (context, query) => page(context, 'namespaces', query)),
    route('GET /api/k8s/deployments', (context, query) => page(context, 'deployments', query)),
    route('GET /api/k8s/services', (context, query) => page(context, 'services', query)),
    route('GET /api/k8s/pods', (context, query) => page(context, 'pods', query)),
    route('GET /api/k8s/events', eventsPage),
    route('GET /api/k8s/usage/nodes', (context, query) => page(context, 'usage/nodes', query)),
    route('GET /api/k8s/usage/pods', (context, query) => page(context, 'usage/pods', query)),
    streamRoute('GET /api/k8s/logs/{namespace}/{pod}', ({ sources, signal }, query) => {
      if (sources.podLogs === undefined) {
        throw notServer();
      }
      return sources.podLogs.open(query, signal);
    }),
  ];
}

async function summary(context: RouteContext): Promise<WorkloadSummary> {
  const { rows: deployments } = await knownRows(context, 'deployments');
  const notReady = deployments.filter(({ ready }) => !ready);
  const { rows: pods } = await knownRows(context, 'pods');
  const phases = new Map<string, number>();
  for (const { phase } of pods) {
    phases.set(phase, (phases.get(phase) ?? 0) + 1);
  }
  return {
    deployments: {
      total: deployments.length,
      ready: deployments.length - notReady.length,
      not_ready: notReady
        .map(({ namespace, name }) => `${namespace}/${name}`)
        .sort()
        .slice(0, NOT_READY_NAMED_MAX),
    },
    pods: { total: pods.length, by_phase: Object.fromEntries([...phases].sort()) },
  };
}

async function knownRows<Kind extends ClusterKind>(
  { sources, signal }: RouteContext,
  kind: Kind,
  namespace?: string,
): Promise<KnownRows<ClusterRows[Kind]>> {
  if (sources.cluster === undefined) {
    throw notServer();
  }
  return await sources.cluster.rows(kind, signal, namespace);
}

export function notServer(): AgentError {
  return new AgentError('NOT_A_SERVER', 'A worker has no way to the Kubernetes API', {
    hint: 'Ask the agent of a server of the cluster',
  });
}

/** What a query may say of the rows; each is optional. */
interface Filter {
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  readonly label?: string | undefined;
  readonly node?: string | undefined;
  readonly phase?: string | undefined;
  readonly type?: string | undefined;
}

interface PageQuery extends Filter {
  readonly limit: number;
  readonly offset: number;
  readonly sort: string;
}

/** A field that a kind of rows does not have fits no wish. */
interface AnyRow {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly node_name?: string;
  readonly phase?: string;
  readonly type?: string;
}

function wantedBy({ name, namespace, label, node, phase, type }: Filter): (row: AnyRow) => boolean {
  const at = label?.indexOf('=') ?? 0;
  const [key, value] = [label?.slice(0, at) ?? '', label?.slice(at + 1)];
  return (row) =>
    (name === undefined || row.name?.includes(name) === true) &&
    (namespace === undefined || row.namespace === namespace) &&
    (label === undefined || row.labels?.[key] === value) &&
    (node === undefined || row.node_name === node) &&
    (phase === undefined || row.phase === phase) &&
    (type === undefined || row.type === type);
}
