/** cordon, uncordon and drain: which pods a node takes and keeps. */
import * as z from 'zod';
import { DnsSubdomain } from '../dns-subdomain.ts';

const DRAIN_GRACE_SECONDS_MAX = 3_600;
const DRAIN_TIMEOUT_SECONDS_MAX = 3_600;
const DRAIN_TIMEOUT_SECONDS_DEFAULT = 300;

export const CordonPayload = z.strictObject({ node: DnsSubdomain });
export type CordonPayload = z.infer<typeof CordonPayload>;

export const CordonData = z.strictObject({
  node: z.string(),
  /** Whether the node takes new pods now. */
  schedulable: z.boolean(),
  /** False when it was already so. */
  changed: z.boolean(),
});
export type CordonData = z.infer<typeof CordonData>;

/** What a `cordon` or `uncordon` notes before its effect: how it found the node. */
export const CordonCheckpoint = z.looseObject({ schedulable: z.boolean() });
export type CordonCheckpoint = z.infer<typeof CordonCheckpoint>;

export const DrainPayload = z.strictObject({
  node: DnsSubdomain,
  /** Time that a pod has to end; absent: as the pod itself says. */
  grace_seconds: z.int().min(0).max(DRAIN_GRACE_SECONDS_MAX).optional(),
  timeout_seconds: z
    .number()
    .min(1)
    .max(DRAIN_TIMEOUT_SECONDS_MAX)
    .default(DRAIN_TIMEOUT_SECONDS_DEFAULT),
});
export type DrainPayload = z.infer<typeof DrainPayload>;

const podWithReason = z.strictObject({
  /** `<namespace>/<pod>`. */
  pod: z.string(),
  reason: z.string(),
});

export const DrainData = z.strictObject({
  node: z.string(),
  /** Whether this command cordoned it; false when it was cordoned before. */
  cordoned: z.boolean(),
  /** `<namespace>/<pod>` of what was evicted and is gone. */
  evicted: z.array(z.string()),
  /** What is still there and should not be: a disruption budget, no controller, slow to end. */
  refused: z.array(podWithReason),
  /** What stays on a drained node. */
  skipped: z.array(podWithReason),
});
export type DrainData = z.infer<typeof DrainData>;

/** What a `drain` notes in the journal before each effect, so that a rerun reports the whole. */
export const DrainCheckpoint = z.looseObject({
  cordoned: z.boolean(),
  evicted: z.array(z.string()),
  /** Asked to go, or about to be. A pod that is gone at the rerun counts as evicted. */
  evicting: z.array(z.looseObject({ uid: z.string(), pod: z.string() })),
});
export type DrainCheckpoint = z.infer<typeof DrainCheckpoint>;
