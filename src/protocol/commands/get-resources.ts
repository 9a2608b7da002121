import * as z from 'zod';
import { DnsLabel } from '../dns-label.ts';
import { ClusterStatus } from '../rest.ts';

/** Objects of one kind that `get_resources` lists at most, unless `limit` asks for fewer. */
const GET_RESOURCES_LIMIT_MAX = 1_000;

export const GetResourcesPayload = z.strictObject({
  /** Absent: the cluster status. */
  kinds: z
    .array(z.enum(['nodes', 'namespaces', 'deployments', 'services', 'pods', 'events']))
    .min(1)
    .max(6)
    .optional(),
  namespace: DnsLabel.optional(),
  limit: z.int().min(1).max(GET_RESOURCES_LIMIT_MAX).default(GET_RESOURCES_LIMIT_MAX),
});
export type GetResourcesPayload = z.infer<typeof GetResourcesPayload>;

export const GetResourcesData = z.union([
  ClusterStatus.extend({
    /** Lists that were cut so that the result fits into a message; `metrics` counts them whole. */
    truncated_kinds: z.array(z.string()).optional(),
  }),
  /** By kind: the objects as the Kubernetes API gives them, without managedFields. */
  z.strictObject({
    resources: z.record(z.string(), z.array(z.record(z.string(), z.unknown()))),
    /** Kinds of which there are more than `limit`, or than fit into a message. */
    truncated_kinds: z.array(z.string()),
  }),
]);
export type GetResourcesData = z.infer<typeof GetResourcesData>;
