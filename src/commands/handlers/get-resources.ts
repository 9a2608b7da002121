import type { KubernetesObject } from '@kubernetes/client-node';
import { continueToken, readClusterStatus } from '../../kubernetes/cluster-status.ts';
import { GetResourcesData, GetResourcesPayload } from '../../protocol/commands.ts';
import { type CommandContext, commandHandler } from '../handler.ts';

const TIMEOUT_MS = 120_000;

/** Where each kind stands in the API; the first part is the group, the second the resource. */
const KINDS = {
  nodes: { group: '/api/v1', namespaced: false },
  namespaces: { group: '/api/v1', namespaced: false },
  deployments: { group: '/apis/apps/v1', namespaced: true },
  services: { group: '/api/v1', namespaced: true },
  pods: { group: '/api/v1', namespaced: true },
  events: { group: '/api/v1', namespaced: true },
} as const;

/** get_resources: the cluster status, or the objects of some kinds. */
export const getResourcesCommand = commandHandler<GetResourcesPayload, GetResourcesData>({
  type: 'get_resources',
  payload: GetResourcesPayload,
  data: GetResourcesData,
  namespace: (payload) => payload.namespace,
  priority: 'urgent',
  lane: () => 'read',
  timeoutMs: () => TIMEOUT_MS,
  afterRestart: 'rerun',
  run: async (payload, context) => {
    if (payload.kinds === undefined) {
      const deps = { clock: context.clock, client: context.kubernetes };
      const status = await readClusterStatus(deps, context.signal);
      const { node_count, pod_count } = status.metrics;
      return { output: `${node_count} nodes, ${pod_count} pods\n`, data: status };
    }
    const resources: Record<string, Record<string, unknown>[]> = {};
    const truncated: string[] = [];
    for (const kind of payload.kinds) {
      const { items, more } = await listKind(kind, payload, context);
      resources[kind] = items;
      if (more) {
        truncated.push(kind);
      }
    }
    const counts = Object.entries(resources).map(([kind, items]) => `${items.length} ${kind}`);
    return {
      output: `${counts.join(', ')}\n`,
      data: { resources, truncated_kinds: truncated },
    };
  },
});

async function listKind(
  kind: keyof typeof KINDS,
  payload: GetResourcesPayload,
  context: CommandContext,
): Promise<{ readonly items: Record<string, unknown>[]; readonly more: boolean }> {
  const { group, namespaced } = KINDS[kind];
  const scope =
    namespaced && payload.namespace !== undefined ? `/namespaces/${payload.namespace}` : '';
  const page = await context.kubernetes.page<KubernetesObject>(
    `${group}${scope}/${kind}`,
    { limit: payload.limit },
    context.signal,
  );
  const items = page.items.map((object) => {
    // Bookkeeping of the API server, often half of the object.
    const { managedFields: _, ...metadata } = object.metadata ?? {};
    return { ...object, metadata };
  });
  return { items, more: continueToken(page.metadata) !== undefined };
}
