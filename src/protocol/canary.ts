/** What `doctor --canary` reads of Kubernetes, and asks its own program inside a pod's network. */
import * as z from 'zod';

/** What is to be reached. Nothing listens on the ports of pods: "refused" is an answer as well. */
export const CanaryTargets = z.object({
  tcp: z.array(z.object({ name: z.string(), address: z.string(), port: z.int() })).max(64),
  /** The cluster's DNS, and a name that it knows; null where the cluster has none. */
  dns: z.object({ server: z.string(), name: z.string() }).nullable(),
});
export type CanaryTargets = z.infer<typeof CanaryTargets>;

/** Why something is not reached; null where it is. */
export const CanaryReached = z.object({
  tcp: z.array(z.object({ name: z.string(), trouble: z.string().nullable() })),
  dns: z.string().nullable(),
});
export type CanaryReached = z.infer<typeof CanaryReached>;

const State = z.looseObject({
  waiting: z
    .looseObject({ reason: z.string().default(''), message: z.string().default('') })
    .optional(),
  terminated: z
    .looseObject({ reason: z.string().default(''), exitCode: z.number().default(0) })
    .optional(),
  running: z.looseObject({}).optional(),
});

export const CanaryPodList = z.looseObject({
  items: z.array(
    z.looseObject({
      spec: z.looseObject({ nodeName: z.string() }),
      status: z.looseObject({
        phase: z.string().default(''),
        reason: z.string().default(''),
        message: z.string().default(''),
        podIP: z.string().optional(),
        containerStatuses: z
          .array(z.looseObject({ containerID: z.string().default(''), state: State.default({}) }))
          .default([]),
      }),
    }),
  ),
});
export type CanaryPod = z.infer<typeof CanaryPodList>['items'][number];

export const CanaryService = z.looseObject({
  spec: z.looseObject({ clusterIP: z.string() }),
});
