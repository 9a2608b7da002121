/** What was found in a cluster that was here before us: /var/lib/pipeops-agent-host/adoption.json. */
import * as z from 'zod';

/** An object of Kubernetes, whole, as it is put back. */
export const SavedObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});
export type SavedObject = z.infer<typeof SavedObject>;

export const Adoption = z.looseObject({
  /** The oldest reader that may use it. */
  v: z.int().min(1).max(1),
  /** Of k3s, when it was taken over: `v1.36.3+k3s1`. */
  k3s_version: z.string(),
  /** What the cluster calls this machine. */
  node: z.string(),
  /** Whether the agent's namespace was there: then it stays. */
  namespace_was_there: z.boolean(),
  /**
   * Objects that bear a name of ours, as they were: the permissions of an agent that runs in the
   * cluster, and its Deployment. They may hold secrets.
   */
  objects: z.array(SavedObject),
});
export type Adoption = z.infer<typeof Adoption>;
