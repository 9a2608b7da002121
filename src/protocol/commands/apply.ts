/** apply: any objects from a manifest. */
import * as z from 'zod';
import { DnsLabel } from '../dns-label.ts';

/** Largest manifest, bytes of UTF-8: twice the largest bundles that projects publish. */
export const MANIFEST_LIMIT_BYTES = 8 * 1024 * 1024;
/** Largest object of a manifest, bytes as JSON: etcd takes no larger request (its own default). */
export const OBJECT_LIMIT_BYTES = 1.5 * 1024 * 1024;

export const ApplyPayload = z.strictObject({
  /** YAML or JSON, one or many documents; Lists are taken apart. */
  manifest: z
    .string()
    .min(1)
    .refine(
      (text) => Buffer.byteLength(text) <= MANIFEST_LIMIT_BYTES,
      `must have at most ${MANIFEST_LIMIT_BYTES} bytes`,
    ),
  /**
   * The namespace of objects that name none; created when missing. An object of another namespace
   * is refused.
   */
  namespace: DnsLabel.optional(),
  /**
   * `key=value`: objects with this label that the agent applied and that are not in the manifest
   * are deleted.
   */
  prune_label: z
    .string()
    .max(317)
    .regex(
      /^([a-z0-9][-.a-z0-9]*\/)?[A-Za-z0-9][-_.A-Za-z0-9]*=[A-Za-z0-9][-_.A-Za-z0-9]*$/,
      'must be "key=value"',
    )
    .optional(),
  /** Lets Kubernetes check everything and changes nothing. */
  dry_run: z.boolean().default(false),
});
export type ApplyPayload = z.infer<typeof ApplyPayload>;

export const AppliedObject = z.strictObject({
  kind: z.string(),
  /** Absent for an object outside of namespaces. */
  namespace: z.string().optional(),
  name: z.string(),
  result: z.enum(['created', 'configured', 'unchanged', 'pruned', 'failed']),
  /** For `failed`: an error code of docs/TROUBLESHOOTING.md. */
  code: z.string().optional(),
  /** For `failed`: why. Otherwise anything worth knowing about it. */
  message: z.string().optional(),
});
export type AppliedObject = z.infer<typeof AppliedObject>;

/** What an `apply` notes before its first effect. */
export const ApplyCheckpoint = z.looseObject({ begun: z.literal(true) });
export type ApplyCheckpoint = z.infer<typeof ApplyCheckpoint>;

export const ApplyData = z.strictObject({
  dry_run: z.boolean(),
  objects: z.array(AppliedObject),
});
export type ApplyData = z.infer<typeof ApplyData>;
