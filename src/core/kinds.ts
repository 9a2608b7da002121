/**
 * Every group and kind of the Kubernetes API that is named here, and the paths of their objects.
 */

export const GROUPS = {
  admission: 'admissionregistration.k8s.io',
  aggregation: 'apiregistration.k8s.io',
  apps: 'apps',
  authentication: 'authentication.k8s.io',
  authorization: 'authorization.k8s.io',
  batch: 'batch',
  certificates: 'certificates.k8s.io',
  coordination: 'coordination.k8s.io',
  definitions: 'apiextensions.k8s.io',
  discovery: 'discovery.k8s.io',
  events: 'events.k8s.io',
  gateway: 'gateway.networking.k8s.io',
  metrics: 'metrics.k8s.io',
  networking: 'networking.k8s.io',
  policy: 'policy',
  rbac: 'rbac.authorization.k8s.io',
  storage: 'storage.k8s.io',
} as const;

export interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  /** As written in paths. */
  readonly plural: string;
}

const V1 = 'v1';
const APPS = `${GROUPS.apps}/v1` as const;
const BATCH = `${GROUPS.batch}/v1` as const;
const GATEWAY = `${GROUPS.gateway}/v1` as const;
const GATEWAY_ALPHA = `${GROUPS.gateway}/v1alpha2` as const;
const ADMISSION = `${GROUPS.admission}/v1` as const;

export const KINDS = {
  admissionPolicy: kind(ADMISSION, 'ValidatingAdmissionPolicy', 'validatingadmissionpolicies'),
  admissionPolicyBinding: kind(
    ADMISSION,
    'ValidatingAdmissionPolicyBinding',
    'validatingadmissionpolicybindings',
  ),
  configMap: kind(V1, 'ConfigMap', 'configmaps'),
  cronJob: kind(BATCH, 'CronJob', 'cronjobs'),
  daemonSet: kind(APPS, 'DaemonSet', 'daemonsets'),
  deployment: kind(APPS, 'Deployment', 'deployments'),
  endpointSlice: kind(`${GROUPS.discovery}/v1`, 'EndpointSlice', 'endpointslices'),
  event: kind(V1, 'Event', 'events'),
  eviction: kind(`${GROUPS.policy}/v1`, 'Eviction', 'evictions'),
  gateway: kind(GATEWAY, 'Gateway', 'gateways'),
  httpRoute: kind(GATEWAY, 'HTTPRoute', 'httproutes'),
  ingress: kind(`${GROUPS.networking}/v1`, 'Ingress', 'ingresses'),
  job: kind(BATCH, 'Job', 'jobs'),
  lease: kind(`${GROUPS.coordination}/v1`, 'Lease', 'leases'),
  namespace: kind(V1, 'Namespace', 'namespaces'),
  node: kind(V1, 'Node', 'nodes'),
  nodeMetrics: kind(`${GROUPS.metrics}/v1beta1`, 'NodeMetrics', 'nodes'),
  pod: kind(V1, 'Pod', 'pods'),
  podMetrics: kind(`${GROUPS.metrics}/v1beta1`, 'PodMetrics', 'pods'),
  replicaSet: kind(APPS, 'ReplicaSet', 'replicasets'),
  role: kind(`${GROUPS.rbac}/v1`, 'Role', 'roles'),
  roleBinding: kind(`${GROUPS.rbac}/v1`, 'RoleBinding', 'rolebindings'),
  secret: kind(V1, 'Secret', 'secrets'),
  service: kind(V1, 'Service', 'services'),
  serviceAccount: kind(V1, 'ServiceAccount', 'serviceaccounts'),
  statefulSet: kind(APPS, 'StatefulSet', 'statefulsets'),
  tcpRoute: kind(GATEWAY_ALPHA, 'TCPRoute', 'tcproutes'),
  tokenRequest: kind(`${GROUPS.authentication}/v1`, 'TokenRequest', 'tokenrequests'),
  udpRoute: kind(GATEWAY_ALPHA, 'UDPRoute', 'udproutes'),
} as const;

/** Documents that belong to no collection. */
export const KUBECONFIG_TYPE = { apiVersion: V1, kind: 'Config' } as const;
export const LIST_TYPE = { apiVersion: V1, kind: 'List' } as const;
/** What the API answers instead of an object (kubernetes.io, API conventions). */
export const STATUS_TYPE = { apiVersion: V1, kind: 'Status' } as const;

function kind<A extends string, K extends string>(apiVersion: A, name: K, plural: string) {
  return { apiVersion, kind: name, plural } as const;
}

/** The fields that an object of a kind begins with. */
export function typeOf<K extends Kind>({ apiVersion, kind }: K): Pick<K, 'apiVersion' | 'kind'> {
  return { apiVersion, kind };
}

export function isOfKind(
  object: { readonly apiVersion: string; readonly kind: string },
  wanted: Kind,
): boolean {
  return object.apiVersion === wanted.apiVersion && object.kind === wanted.kind;
}

/** The path of all objects of a group and version: `/api/v1`, `/apis/apps/v1`. */
export function apiPath(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

/** The path of all objects of a kind, in one namespace if it is given. */
export function pathOfKind({ apiVersion, plural }: Kind, namespace?: string): string {
  const within = namespace === undefined ? '' : `/namespaces/${namespace}`;
  return `${apiPath(apiVersion)}${within}/${plural}`;
}

/** The path of one object. */
export function pathOfObject(
  kind: Kind,
  { namespace, name }: { readonly namespace?: string | undefined; readonly name: string },
): string {
  return `${pathOfKind(kind, namespace)}/${name}`;
}
