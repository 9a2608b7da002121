/** Root's note of an upgrade of k3s that the control plane may lead through the cluster: what was allowed, and no more. */
import * as z from 'zod';
import { K3sVersion } from './k3s-upgrade.ts';

/** The newest form that is read here: `v` is the oldest reader that may use one. */
export const K3S_LEAD_READER = 1;
/** Of a cluster of many nodes. */
export const K3S_LEAD_LIMIT_BYTES = 1024 * 1024;

export const K3sLead = z.looseObject({
  v: z.int().min(1),
  command_id: z.string(),
  /** Absent in one of an earlier version: of that no further node is begun. */
  allowed_at: z.iso.datetime().optional(),
  to: K3sVersion,
  /** Whether pods are moved away first. */
  drain: z.boolean(),
  /** In their order, as they were when it was allowed. */
  nodes: z.array(
    z.object({ node: z.string(), role: z.enum(['server', 'worker']), from: z.string() }),
  ),
});
export type K3sLead = z.infer<typeof K3sLead>;
