/** What the daemon has brought to the cluster from root's directory: noted before it is brought. */
import * as z from 'zod';

export const KEPT_OBJECTS_LIMIT_BYTES = 2 * 1024 * 1024;

const KeptObject = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  /** Absent for an object outside of namespaces. */
  namespace: z.string().optional(),
  name: z.string(),
});
export type KeptObject = z.infer<typeof KeptObject>;

export const KeptObjects = z.object({ v: z.literal(1), objects: z.array(KeptObject) });
export type KeptObjects = z.infer<typeof KeptObjects>;
