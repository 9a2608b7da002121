/**
 * A snapshot: one file that holds a copy of the cluster's data and the token that belongs to it. Its first
 * line is this header, as JSON and readable by anybody; what follows is sealed
 * (machine/snapshots/sealed-file.ts).
 */
import * as z from 'zod';

export const SNAPSHOT_SUFFIX = '.snapshot';
export const SNAPSHOT_HEADER_BYTES_MAX = 4 * 1024;
/** The newest snapshot that this version reads. */
const READER = 1;

/** A name is part of paths and of addresses. */
export const SnapshotName = z
  .string()
  .regex(
    /^[a-z0-9]([-a-z0-9.]{0,94}[a-z0-9])?$/,
    'must be at most 96 lower-case letters, digits, "-" and "."',
  );

/** Who asked for it: this decides when it goes. */
const SNAPSHOT_KINDS = ['manual', 'scheduled', 'command', 'upgrade'] as const;
export type SnapshotKind = (typeof SNAPSHOT_KINDS)[number];

/**
 * By the names that machine/snapshots/create.ts, machine/helper/snapshot.ts and machine/k3s-upgrade/ give; a person
 * gives no such one.
 */
export function kindOfName(name: string): SnapshotKind {
  if (/^scheduled-\d{8}t\d{6}z$/.test(name)) {
    return 'scheduled';
  }
  if (/^k3s-upgrade-[0-9a-f]{16}$/.test(name)) {
    return 'upgrade';
  }
  return /^command-[0-9a-f]{12}$/.test(name) ? 'command' : 'manual';
}

/** A header of another version may have more in it, which is bound to the secrets all the same. */
export const SnapshotHeader = z.object({
  /** The oldest reader that may use it. */
  pipeops_snapshot: z.int().min(1).max(READER),
  name: SnapshotName,
  kind: z.enum(SNAPSHOT_KINDS),
  /** ISO time. */
  created: z.iso.datetime(),
  /** The node on which it was made. */
  node: z.string(),
  datastore: z.enum(['sqlite', 'etcd']),
  /** Version of k3s; null where it could not be asked. */
  k3s: z.string().nullable(),
  /** SHA-256 of the cluster's CA, as in k3s' tokens: by this a cluster is known. */
  cluster: z.string(),
  /** Of the data before they were packed. */
  size_bytes: z.int().min(0),
  /** Which key opens it: the beginning of its SHA-256. */
  key_id: z.string(),
  /** From which, with that key, the key of this one file is made; base64. */
  salt: z.base64(),
});
export type SnapshotHeader = z.infer<typeof SnapshotHeader>;

/** How the schedule went, for `doctor` and the daemon: root's, beside the snapshots. */
export const SnapshotState = z.looseObject({
  v: z.literal(1),
  /** ISO times. */
  ran_at: z.string(),
  /** Of the newest that the schedule has made; null before the first. */
  made_at: z.string().nullable(),
  /** When one was last opened aside to see whether it could be restored; null before the first time. */
  checked_at: z.string().nullable(),
  /** What went wrong in the last run. */
  problems: z.array(z.string()),
});
export type SnapshotState = z.infer<typeof SnapshotState>;

/** The sealed part that comes first. */
export const SnapshotSecrets = z.object({
  /** k3s' token of servers: without it the data cannot be used. */
  token: z.string().min(1),
});
export type SnapshotSecrets = z.infer<typeof SnapshotSecrets>;
