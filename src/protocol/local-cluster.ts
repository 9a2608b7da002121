/** The cluster as the local API tells it, from what the agent knows of it anyway. */
import * as z from 'zod';
import { pageOf } from './local-page.ts';
import { NodeStatus, PodInfo, ResourceInfo } from './rest.ts';

export const EventRow = z.object({
  namespace: z.string(),
  /** What it is about: `Pod`, `web-1`. */
  kind: z.string(),
  name: z.string(),
  /** `Warning`, `Normal`. */
  type: z.string(),
  reason: z.string(),
  /** At most 500 characters. */
  message: z.string(),
  count: z.int(),
  /** null where nobody says when. */
  last_seen: z.string().nullable(),
});
export type EventRow = z.infer<typeof EventRow>;

/** What a node uses now, and has. */
export const NodeUsageRow = z.object({
  name: z.string(),
  /** Cores: 0.25 is a quarter of one. */
  cpu: z.number(),
  /** Working set: what cannot be taken back without loss. */
  memory_bytes: z.number(),
  /** null where the node does not say. */
  cpu_capacity: z.number().nullable(),
  memory_capacity_bytes: z.number().nullable(),
});
export type NodeUsageRow = z.infer<typeof NodeUsageRow>;

/** What the containers of a pod use now, together. */
export const PodUsageRow = z.object({
  namespace: z.string(),
  name: z.string(),
  cpu: z.number(),
  memory_bytes: z.number(),
});
export type PodUsageRow = z.infer<typeof PodUsageRow>;

const NamespaceRow = z.object({ name: z.string() });

/** Names of what is not ready in a summary. */
export const NOT_READY_NAMED_MAX = 10;

/** GET /api/k8s/summary */
export const WorkloadSummary = z.object({
  deployments: z.object({
    total: z.int(),
    ready: z.int(),
    /** `namespace/name` of some that are not; by name, at most 10. */
    not_ready: z.array(z.string()),
  }),
  pods: z.object({
    total: z.int(),
    /** How many are in each phase: `Running`, `Pending`, … */
    by_phase: z.record(z.string(), z.int()),
  }),
});
export type WorkloadSummary = z.infer<typeof WorkloadSummary>;

export const NodesPage = pageOf(NodeStatus);
export const NamespacesPage = pageOf(NamespaceRow);
export const ResourcesPage = pageOf(ResourceInfo);
export const PodsPage = pageOf(PodInfo);
export const EventsPage = pageOf(EventRow).extend({
  /** There are more than were read: `total` does not count those, and some may be newer than all here. */
  truncated: z.boolean(),
});

export const NodeUsagePage = pageOf(NodeUsageRow);
export type NodeUsagePage = z.infer<typeof NodeUsagePage>;
export const PodUsagePage = pageOf(PodUsageRow);
export type PodUsagePage = z.infer<typeof PodUsagePage>;

/** Rows of a kind, as they are known now. They never change afterwards. */
export interface KnownRows<Row> {
  readonly rows: readonly Row[];
  /** There are more, which were not read. */
  readonly isTruncated: boolean;
}

export interface ClusterRows {
  readonly nodes: NodeStatus;
  readonly namespaces: z.infer<typeof NamespaceRow>;
  readonly deployments: ResourceInfo;
  readonly services: ResourceInfo;
  readonly pods: PodInfo;
  readonly events: EventRow;
  readonly 'usage/nodes': NodeUsageRow;
  readonly 'usage/pods': PodUsageRow;
}
