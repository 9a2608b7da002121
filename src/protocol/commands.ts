/**
 * Payloads and data of the remote commands, by type. Payload problems are all reported at once
 * as COMMAND_INVALID. Numbers come as numbers; names follow RFC 1123 as Kubernetes asks.
 */
import { z } from 'zod';
import { ClusterStatus } from './rest.ts';

/** RFC 1123 label: what names of namespaces, Services and Deployments must be here. */
export const DnsLabel = z
  .string()
  .regex(
    /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
    'must be lower-case letters, digits and "-", at most 63 characters (RFC 1123)',
  );

export const REPLICAS_MAX = 1_000;
/** Longest wait for a rollout, seconds. */
export const WAIT_SECONDS_MAX = 3_600;
export const WAIT_SECONDS_DEFAULT = 120;

const quantity = z
  .string()
  .regex(/^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?$/, 'must be a Kubernetes quantity');
const quantities = z.strictObject({ cpu: quantity.optional(), memory: quantity.optional() });

const Port = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/, 'must be a port name of at most 15 characters')
    .optional(),
  container_port: z.int().min(1).max(65_535),
  protocol: z.enum(['TCP', 'UDP', 'SCTP']).default('TCP'),
});

export const DeployPayload = z.strictObject({
  name: DnsLabel,
  namespace: DnsLabel.default('default'),
  image: z.string().min(1).max(1_024),
  replicas: z.int().min(0).max(REPLICAS_MAX).default(1),
  ports: z.array(Port).max(64).default([]),
  environment: z.record(z.string().min(1), z.string()).default({}),
  resources: z
    .strictObject({ limits: quantities.optional(), requests: quantities.optional() })
    .default({}),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  command: z.array(z.string()).max(256).optional(),
  args: z.array(z.string()).max(256).optional(),
  /** How long to wait for the rollout; 0 does not wait. */
  wait_seconds: z.number().min(0).max(WAIT_SECONDS_MAX).default(WAIT_SECONDS_DEFAULT),
});
export type DeployPayload = z.infer<typeof DeployPayload>;

export const DeployData = z.strictObject({
  /** Revision of the Deployment, from `deployment.kubernetes.io/revision`. */
  revision: z.int().min(0),
  replicas_wanted: z.int().min(0),
  replicas_ready: z.int().min(0),
  /** `<cluster IP>:<port>` of the Service; absent without ports. */
  service_address: z.string().optional(),
  /** Why it did not become ready, read from pods and events. */
  reasons: z.array(z.string()).optional(),
});
export type DeployData = z.infer<typeof DeployData>;

export const ScalePayload = z.strictObject({
  name: DnsLabel,
  namespace: DnsLabel.default('default'),
  replicas: z.int().min(0).max(REPLICAS_MAX),
  wait_seconds: z.number().min(0).max(WAIT_SECONDS_MAX).default(WAIT_SECONDS_DEFAULT),
});
export type ScalePayload = z.infer<typeof ScalePayload>;

export const ScaleData = z.strictObject({
  replicas_wanted: z.int().min(0),
  replicas_ready: z.int().min(0),
});
export type ScaleData = z.infer<typeof ScaleData>;

export const DeletePayload = z.strictObject({
  name: DnsLabel,
  namespace: DnsLabel.default('default'),
});
export type DeletePayload = z.infer<typeof DeletePayload>;

export const DeleteData = z.strictObject({
  /** `Kind/name` of each object that was there and is gone now. */
  deleted: z.array(z.string()),
});
export type DeleteData = z.infer<typeof DeleteData>;

/** Objects of one kind that `get_resources` lists at most, unless `limit` asks for fewer. */
export const GET_RESOURCES_LIMIT_MAX = 1_000;

export const GetResourcesPayload = z.strictObject({
  /** Absent: the cluster status. */
  kinds: z
    .array(z.enum(['nodes', 'namespaces', 'deployments', 'services', 'pods', 'events']))
    .min(1)
    .max(6)
    .optional(),
  namespace: DnsLabel.optional(),
  limit: z.int().min(1).max(GET_RESOURCES_LIMIT_MAX).default(GET_RESOURCES_LIMIT_MAX),
});
export type GetResourcesPayload = z.infer<typeof GetResourcesPayload>;

export const GetResourcesData = z.union([
  ClusterStatus,
  /** By kind: the objects as the Kubernetes API gives them, without managedFields. */
  z.strictObject({
    resources: z.record(z.string(), z.array(z.record(z.string(), z.unknown()))),
    /** Kinds of which there are more than `limit`. */
    truncated_kinds: z.array(z.string()),
  }),
]);
export type GetResourcesData = z.infer<typeof GetResourcesData>;

/** What a `delete` notes in the journal before its first effect. */
export const DeleteTargets = z.array(
  z.strictObject({ label: z.string(), path: z.string(), uid: z.string() }),
);
export type DeleteTargets = z.infer<typeof DeleteTargets>;
