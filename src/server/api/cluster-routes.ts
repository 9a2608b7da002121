import type * as z from 'zod';
import { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import {
  type ClusterRows,
  EventsPage,
  type KnownRows,
  NamespacesPage,
  NOT_READY_NAMED_MAX,
  NodesPage,
  NodeUsagePage,
  PodsPage,
  PodUsagePage,
  ResourcesPage,
  WorkloadSummary,
} from '../../protocol/local-cluster.ts';
import {
  EventsQuery,
  NamespacesQuery,
  NodesQuery,
  NodeUsageQuery,
  NoQuery,
  PodLogQuery,
  PodsQuery,
  PodUsageQuery,
  ResourcesQuery,
} from '../../protocol/local-queries.ts';
import { TextAnswer } from '../../protocol/local-status.ts';
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
  const list = <Query extends z.ZodObject, Page extends z.ZodType>(
    kind: ClusterKind,
    what: string,
    params: Query,
    answer: Page,
  ) => ({ path: `/api/k8s/${kind}`, summary: `Lists ${what}, a page at a time.`, params, answer });
  return [
    route({
      path: '/api/k8s/summary',
      summary: 'How many Deployments and pods there are, and which are not ready.',
      params: NoQuery,
      answer: WorkloadSummary,
      handle: summary,
    }),
    route({
      ...list('nodes', 'the nodes', NodesQuery, NodesPage),
      handle: (context, query) => page(context, 'nodes', query),
    }),
    route({
      ...list('namespaces', 'the namespaces', NamespacesQuery, NamespacesPage),
      handle: (context, query) => page(context, 'namespaces', query),
    }),
    route({
      ...list('deployments', 'Deployments', ResourcesQuery, ResourcesPage),
      handle: (context, query) => page(context, 'deployments', query),
    }),
    route({
      ...list('services', 'Services', ResourcesQuery, ResourcesPage),
      handle: (context, query) => page(context, 'services', query),
    }),
    route({
      ...list('pods', 'pods', PodsQuery, PodsPage),
      handle: (context, query) => page(context, 'pods', query),
    }),
    route({
      ...{ path: '/api/k8s/events', params: EventsQuery, answer: EventsPage },
      summary:
        'Lists events, the newest first, a page at a time. At most 5 000 are read; where `truncated` is true there are more, and some may be newer.',
      handle: eventsPage,
    }),
    route({
      ...list('usage/nodes', 'what nodes use now', NodeUsageQuery, NodeUsagePage),
      handle: (context, query) => page(context, 'usage/nodes', query),
    }),
    route({
      ...list('usage/pods', 'what pods use now', PodUsageQuery, PodUsagePage),
      handle: (context, query) => page(context, 'usage/pods', query),
    }),
    streamRoute({
      path: '/api/k8s/logs/{namespace}/{pod}',
      summary:
        'What a container has written: lines, within the policy and without what looks like a secret. A line is cut at 64 KiB.',
      params: PodLogQuery,
      answer: TextAnswer,
      format: 'text',
      handle: ({ sources, signal }, query) => {
        if (sources.podLogs === undefined) {
          throw notServer();
        }
        return sources.podLogs.open(query, signal);
      },
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
