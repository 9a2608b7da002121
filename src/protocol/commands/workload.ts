/** scale, restart, rollback and delete: what happens to a Deployment that is there. */
import * as z from 'zod';
import { Replicas, rolloutData, targetFields, WaitSeconds } from './fields.ts';

export const ScalePayload = z.strictObject({
  ...targetFields,
  replicas: Replicas,
  wait_seconds: WaitSeconds,
});
export type ScalePayload = z.infer<typeof ScalePayload>;

export const ScaleData = z.strictObject(rolloutData);
export type ScaleData = z.infer<typeof ScaleData>;

export const RestartPayload = z.strictObject({ ...targetFields, wait_seconds: WaitSeconds });
export type RestartPayload = z.infer<typeof RestartPayload>;

export const RestartData = z.strictObject({
  /** `Deployment/<name>`. */
  restarted: z.string(),
  revision: z.int().min(0),
  ...rolloutData,
});
export type RestartData = z.infer<typeof RestartData>;

export const RollbackPayload = z.strictObject({
  ...targetFields,
  /** Absent: the one before the current one. */
  revision: z.int().min(1).optional(),
  wait_seconds: WaitSeconds,
});
export type RollbackPayload = z.infer<typeof RollbackPayload>;

export const RollbackData = z.strictObject({
  /** Its number now: Kubernetes gives a revision that comes back a new number. */
  revision: z.int().min(0),
  /** The number that the revision had before. */
  rolled_back_to: z.int().min(0),
  /** Of the first container. */
  image: z.string(),
  ...rolloutData,
});
export type RollbackData = z.infer<typeof RollbackData>;

/** What a `rollback` notes in the journal before its first effect. */
export const RollbackTarget = z.looseObject({
  replica_set_uid: z.string(),
  revision: z.int().min(0),
});
export type RollbackTarget = z.infer<typeof RollbackTarget>;

export const DeletePayload = z.strictObject(targetFields);
export type DeletePayload = z.infer<typeof DeletePayload>;

export const DeleteData = z.strictObject({
  /** `Kind/name` of each object that was there and is gone now. */
  deleted: z.array(z.string()),
});
export type DeleteData = z.infer<typeof DeleteData>;

/** What a `delete` notes in the journal before its first effect. */
export const DeleteTargets = z.array(
  z.looseObject({ label: z.string(), path: z.string(), uid: z.string() }),
);
export type DeleteTargets = z.infer<typeof DeleteTargets>;
