/** deploy and update: an application as a Deployment, with a Service and an Ingress. */
import * as z from 'zod';
import { DnsSubdomain } from '../dns-subdomain.ts';
import {
  DomainName,
  ProgramText,
  Replicas,
  rolloutData,
  targetFields,
  UnicodeText,
  WaitSeconds,
} from './fields.ts';
import { Probes } from './probes.ts';

const PORTS_MAX = 64;
const DOMAINS_MAX = 64;
/** Words of a command line. */
const ARGUMENTS_MAX = 256;
const ARGUMENT_LENGTH_MAX = 32_768;
const ENVIRONMENT_VARIABLES_MAX = 1_000;
const ENVIRONMENT_VALUE_LENGTH_MAX = 131_072;
const LABELS_MAX = 64;
/** Kubernetes allows 256 KiB of annotations on an object. */
const ANNOTATION_LENGTH_MAX = 262_144;

/** As Kubernetes reads them (apimachinery, "resource.Quantity"); what it may be is the API's rule. */
const quantity = z.union([
  z.number().min(0).transform(String),
  z
    .string()
    .max(64)
    .regex(
      /^\+?(\d+(\.\d*)?|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][-+]?\d+)?$/,
      'must be a Kubernetes quantity',
    ),
]);
/** kubernetes.io, "Resource Management for Pods": those of the kubelet, and extended ones of a domain. */
const resourceName = z
  .string()
  .regex(
    /^(cpu|memory|ephemeral-storage|hugepages-[A-Za-z0-9]{1,32}|[a-z0-9][-.a-z0-9]{0,251}[a-z0-9]\/[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)$/,
    'must be cpu, memory, ephemeral-storage, hugepages-<size> or <domain>/<name>',
  );
const quantities = z.record(resourceName, quantity);

const Port = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/, 'must be a port name of at most 15 characters')
    .optional(),
  container_port: z.int().min(1).max(65_535),
  protocol: z.enum(['TCP', 'UDP', 'SCTP']).default('TCP'),
});
export type Port = z.infer<typeof Port>;

/** kubernetes.io, "Labels and Selectors": an optional DNS prefix, then a name. */
const labelKey = z
  .string()
  .regex(
    /^([a-z0-9][-.a-z0-9]{0,251}[a-z0-9]\/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/,
    'must be a label key: an optional DNS prefix and "/", then at most 63 characters',
  );
const labelValue = z
  .string()
  .regex(
    /^([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$/,
    'must be a label value of at most 63 characters',
  );
/** Kubernetes 1.36: printable ASCII but "=". */
const variableName = z.string().regex(/^[ -<>-~]{1,256}$/, 'must be printable ASCII without "="');

function recordOf<V extends z.ZodType>(key: z.ZodString, value: V, most: number) {
  return z
    .unknown()
    .refine(namesNoPrototype, 'must not name "__proto__"')
    .pipe(z.record(key, value))
    .refine((all) => Object.keys(all).length <= most, `must have at most ${most} entries`);
}

/** A record would silently drop such a name. */
function namesNoPrototype(value: unknown): boolean {
  return typeof value !== 'object' || value === null || !Object.hasOwn(value, '__proto__');
}

const words = z.array(ProgramText.max(ARGUMENT_LENGTH_MAX)).max(ARGUMENTS_MAX);

/** What an application is made of; what is absent here has no default of its own. */
const application = {
  image: z.string().min(1).max(1_024),
  replicas: Replicas,
  ports: z.array(Port).max(PORTS_MAX),
  environment: recordOf(
    variableName,
    ProgramText.max(ENVIRONMENT_VALUE_LENGTH_MAX),
    ENVIRONMENT_VARIABLES_MAX,
  ),
  resources: z.strictObject({ limits: quantities.optional(), requests: quantities.optional() }),
  labels: recordOf(labelKey, labelValue, LABELS_MAX),
  annotations: recordOf(labelKey, UnicodeText.max(ANNOTATION_LENGTH_MAX), LABELS_MAX),
  command: words,
  args: words,
  probes: Probes,
  /** A Secret of type kubernetes.io/dockerconfigjson in the same namespace; null: none. */
  image_pull_secret: DnsSubdomain.nullable(),
  /** Host names of the Ingress, which leads to the first port. */
  domains: z.array(DomainName).max(DOMAINS_MAX),
} as const;

const rollout = {
  wait_seconds: WaitSeconds,
  /** Goes back to what was there before when the rollout fails. */
  rollback_on_failure: z.boolean().default(false),
} as const;

/** A field that is not given is left as it is where the application exists. */
export const DeployPayload = z
  .strictObject({
    ...targetFields,
    ...z.strictObject(application).partial().shape,
    image: application.image,
    ...rollout,
  })
  .superRefine((payload, context) => {
    checkRollout(payload, context);
    if ((payload.domains?.length ?? 0) > 0 && payload.ports?.length === 0) {
      context.addIssue({ code: 'custom', path: ['domains'], message: 'need a port to lead to' });
    }
  });
export type DeployPayload = z.infer<typeof DeployPayload>;

/** Each field given replaces the whole of what deploy set there; the others stay. */
export const UpdatePayload = z
  .strictObject({
    ...targetFields,
    ...z.strictObject(application).partial().shape,
    ...rollout,
  })
  .superRefine((payload, context) => {
    checkRollout(payload, context);
    if (Object.keys(application).every((field) => Reflect.get(payload, field) === undefined)) {
      context.addIssue({ code: 'custom', path: [], message: 'names nothing to change' });
    }
  });
export type UpdatePayload = z.infer<typeof UpdatePayload>;

function checkRollout(
  payload: { readonly wait_seconds: number; readonly rollback_on_failure: boolean },
  context: z.RefinementCtx,
): void {
  if (payload.rollback_on_failure && payload.wait_seconds === 0) {
    const message = 'needs wait_seconds: who does not wait does not see the failure';
    context.addIssue({ code: 'custom', path: ['rollback_on_failure'], message });
  }
}

export const DeployData = z.strictObject({
  /** Revision of the Deployment, from `deployment.kubernetes.io/revision`. */
  revision: z.int().min(0),
  ...rolloutData,
  /** `<cluster IP>:<port>` of the Service; absent without ports. */
  service_address: z.string().optional(),
  /** What `rollback_on_failure` did: back to an earlier revision, or removed what was new. */
  rolled_back: z
    .strictObject({
      to: z.enum(['earlier_revision', 'nothing']),
      /**
       * Everything is put back and all replicas of before are ready again: nothing is left to do.
       */
      complete: z.boolean(),
      /** `Kind/name` of what was changed back, or removed because it was new. */
      put_back: z.array(z.string()),
      not_put_back: z.array(
        z.strictObject({ object: z.string(), code: z.string(), reason: z.string() }),
      ),
    })
    .optional(),
});
export type DeployData = z.infer<typeof DeployData>;

const text = z.record(z.string(), z.string());
const json = z.record(z.string(), z.unknown());
/** What is noted of an object before it is changed. */
const EarlierObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  namespace: z.string(),
  uid: z.string(),
  labels: text,
  annotations: text,
  spec: json,
  /**
   * Which manager owned which field. It is written back too: otherwise a later apply could not
   * remove what it had set.
   */
  managedFields: z.array(json),
});
export type EarlierObject = z.infer<typeof EarlierObject>;

/** What a deploy or update with `rollback_on_failure` notes in the journal before its first effect. */
export const DeployCheckpoint = z.looseObject({
  /** Each object as it was; null: it was not there. */
  before: z.looseObject({
    deployment: EarlierObject.nullable(),
    service: EarlierObject.nullable(),
    ingress: EarlierObject.nullable(),
  }),
  /** Set once it has failed: a rerun continues to go back. */
  failed: z
    .looseObject({
      revision: z.int().min(0),
      replicas_wanted: z.int().min(0),
      replicas_ready: z.int().min(0),
      reasons: z.array(z.string()),
      /** The error that ended it before the rollout could fail. */
      error: z
        .looseObject({ code: z.string(), message: z.string(), hint: z.string().optional() })
        .optional(),
    })
    .optional(),
});
export type DeployCheckpoint = z.infer<typeof DeployCheckpoint>;
