/** The parts that are read of workloads, jobs and pods (kubernetes.io, API reference, "apps/v1", "batch/v1"). */
import * as z from 'zod';

const Count = z.number().default(0);

const Waiting = z.looseObject({ reason: z.string().default(''), message: z.string().default('') });

const ContainerStatus = z.looseObject({
  image: z.string().default(''),
  state: z.looseObject({ waiting: Waiting.optional() }).default({}),
});

/** Of any of these kinds: what one has not is zero or empty. */
export const SystemObject = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    generation: Count,
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.looseObject({ replicas: z.number().default(1) }).default({ replicas: 1 }),
  status: z.looseObject({
    observedGeneration: Count,
    availableReplicas: Count,
    updatedReplicas: Count,
    desiredNumberScheduled: Count,
    numberReady: Count,
    succeeded: Count,
    conditions: z
      .array(
        z.looseObject({
          type: z.string(),
          status: z.string(),
          reason: z.string().default(''),
          message: z.string().default(''),
        }),
      )
      .default([]),
    initContainerStatuses: z.array(ContainerStatus).default([]),
    containerStatuses: z.array(ContainerStatus).default([]),
  }),
});
export type SystemObject = z.infer<typeof SystemObject>;

export const SystemObjectList = z.looseObject({ items: z.array(SystemObject) });
export type SystemObjectList = z.infer<typeof SystemObjectList>;

/** A manifest that k3s deploys by itself: what it makes, and where. */
export const SystemManifest = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().default('default') }),
});
export type SystemManifest = z.infer<typeof SystemManifest>;
