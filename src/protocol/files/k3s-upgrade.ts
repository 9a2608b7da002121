/**
 * Root's record of a change of this machine's k3s while it is under way: whoever reads it can finish it, after a
 * kill or a power cut, too. Other versions write and read it, so fields are only added.
 */
import * as z from 'zod';
import { K3S_ROLES } from '../../core/k3s-places.ts';
import { isK3sVersion } from '../../core/k3s-version.ts';

/** The newest form that is read here: `v` is the oldest reader that may use one. */
export const K3S_UPGRADE_READER = 1;

export const K3sVersion = z
  .string()
  .max(64)
  .refine(isK3sVersion, 'must be a k3s version such as v1.36.3+k3s1');

/** Becomes part of an address (docs.k3s.io, "Release channels"). */
export const K3sChannel = z
  .string()
  .regex(
    /^(stable|latest|v\d{1,3}\.\d{1,3})$/,
    'must be stable, latest, or a minor version such as v1.37',
  );

/** Of one change on one machine; who asks for one gives it, so that asking again changes nothing. */
const K3sUpgradeId = z.string().regex(/^[0-9a-f]{16}$/);

const Change = z.looseObject({
  v: z.int().min(1),
  id: K3sUpgradeId,
  from: K3sVersion,
  to: K3sVersion,
  role: z.enum(K3S_ROLES),
  /** The name of this machine's node. */
  node: z.string(),
});

/**
 * `done`: the new version runs. `unchanged`: nothing was switched. `went-back`: the version before runs again.
 * `stuck`: k3s is not well, and going back by itself would not be safe, or did not help.
 */
const Outcome = z.enum(['done', 'unchanged', 'went-back', 'stuck']);

export const K3sUpgradeRecord = z.looseObject({
  ...Change.shape,
  /** In this order; each is written before it is done. `back` only where `judge` has failed. */
  step: z.enum(['fetch', 'snapshot', 'drain', 'switch', 'judge', 'back', 'end']),
  began: z.iso.datetime(),
  /** Whether pods are moved away first. */
  drains: z.boolean(),
  /** Whether the node took pods before, and takes them again in the end; null before that was looked at. */
  took_pods: z.boolean().nullable(),
  /** Of the new program; null before it is there. */
  sha256: z.string().nullable(),
  /** Of the data before; null on a worker and before it is made. */
  snapshot: z.string().nullable(),
  /** How often somebody has begun to judge: a machine that goes down again and again is no proof. */
  judged: z.int().min(0),
  /** Whether the new k3s has had its API up: then the data may be of its version. */
  served: z.boolean(),
  /** Once it is known. */
  outcome: Outcome.nullable(),
  why: z.string().nullable(),
});
export type K3sUpgradeRecord = z.infer<typeof K3sUpgradeRecord>;

/** How the last one ended. */
export const K3sUpgradeResult = z.looseObject({
  ...Change.shape,
  outcome: Outcome,
  why: z.string().nullable(),
  snapshot: z.string().nullable(),
  at: z.iso.datetime(),
  took_ms: z.number(),
});
export type K3sUpgradeResult = z.infer<typeof K3sUpgradeResult>;
