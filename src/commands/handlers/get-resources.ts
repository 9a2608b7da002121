import type { KubernetesObject } from '@kubernetes/client-node';
import { KINDS, pathOfKind } from '../../core/kinds.ts';
import type { PageEnd } from '../../kubernetes/api/list-page.ts';
import { GetResourcesData, GetResourcesPayload } from '../../protocol/commands/get-resources.ts';
import { type CommandContext, commandHandler } from '../engine/handler.ts';
import { fitClusterStatus, onlyNamespace, RESOURCES_LIMIT_BYTES } from './bounded-status.ts';

const TIMEOUT_MS = 120_000;
/** Objects asked for at once: large ones come as megabytes. */
const PAGE_OBJECTS = 100;

/** What can be asked for, by the names of the protocol. */
const ASKED = {
  nodes: { kind: KINDS.node, namespaced: false },
  namespaces: { kind: KINDS.namespace, namespaced: false },
  deployments: { kind: KINDS.deployment, namespaced: true },
  services: { kind: KINDS.service, namespaced: true },
  pods: { kind: KINDS.pod, namespaced: true },
  events: { kind: KINDS.event, namespaced: true },
} as const;

/**
 * get_resources: the cluster status as it is reported, or the objects of some kinds. Objects that
 * do not fit into a message are left out, and the answer says so.
 */
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
      const status = await context.clusterStatus(context.signal);
      const data = fitClusterStatus(onlyNamespace(status, payload.namespace));
      const { node_count, pod_count } = data.metrics;
      const isCut = data.truncated_kinds !== undefined;
      return { output: `${node_count} nodes, ${pod_count} pods\n`, data, truncated: isCut };
    }
    const resources: Record<string, Record<string, unknown>[]> = {};
    const truncated: string[] = [];
    const budget = { leftBytes: RESOURCES_LIMIT_BYTES };
    for (const kind of payload.kinds) {
      const { items, more } = await listKind(kind, payload, budget, context);
      resources[kind] = items;
      if (more) {
        truncated.push(kind);
      }
    }
    const counts = Object.entries(resources).map(
      ([kind, items]) => `${items.length} ${kind}${truncated.includes(kind) ? ' and more' : ''}`,
    );
    return {
      output: `${counts.join(', ')}\n`,
      data: { resources, truncated_kinds: truncated },
      truncated: truncated.length > 0,
    };
  },
});

async function listKind(
  name: keyof typeof ASKED,
  payload: GetResourcesPayload,
  budget: { leftBytes: number },
  context: CommandContext,
): Promise<{ readonly items: Record<string, unknown>[]; readonly more: boolean }> {
  const { kind, namespaced } = ASKED[name];
  const path = pathOfKind(kind, namespaced ? payload.namespace : undefined);
  const items: Record<string, unknown>[] = [];
  let isFull = false;
  const keep = (object: KubernetesObject) => {
    // Bookkeeping of the API server, often half of the object.
    const { managedFields: _, ...metadata } = object.metadata ?? {};
    const item = { ...object, metadata };
    budget.leftBytes -= Buffer.byteLength(JSON.stringify(item)) + 1;
    isFull ||= budget.leftBytes < 0;
    if (!isFull) {
      items.push(item);
    }
  };
  let next: string | undefined = '';
  while (next !== undefined && !isFull && items.length < payload.limit) {
    const limit = Math.min(PAGE_OBJECTS, payload.limit - items.length);
    const query = { limit, ...(next === '' ? {} : { continue: next }) };
    const page: PageEnd = await context.kubernetes.eachOfPage(path, query, keep, context.signal);
    next = page.next;
  }
  return { items, more: isFull || next !== undefined };
}
