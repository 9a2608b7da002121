/**
 * Which access to the Kubernetes API each preset and each switch brings. The evaluator and the
 * ClusterRole of the agent's account are both made of this table, so neither promises what the
 * other forbids.
 */
import { GROUPS } from '../core/kinds.ts';
import type { PolicyCommand } from '../protocol/files/policy.ts';

export interface Grant {
  readonly group: string;
  /** Plural, with the subresource behind a slash: `pods/log`. */
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  /** Objects that are in no namespace. */
  readonly cluster?: boolean;
}

export const READ_VERBS = ['get', 'list', 'watch'];
export const WRITE_VERBS = ['create', 'update', 'patch', 'delete'];
/** kubectl opens a stream with GET, older ones with POST; Kubernetes asks for both. */
const STREAM_VERBS = ['get', 'create'];

/** Kinds that run, configure and expose an application. */
const WORKLOADS: readonly Omit<Grant, 'verbs'>[] = [
  {
    group: '',
    resources: ['pods', 'services', 'configmaps', 'persistentvolumeclaims', 'serviceaccounts'],
  },
  { group: GROUPS.apps, resources: ['deployments', 'statefulsets', 'daemonsets'] },
  { group: GROUPS.batch, resources: ['jobs', 'cronjobs'] },
  { group: GROUPS.networking, resources: ['ingresses', 'networkpolicies'] },
  { group: 'autoscaling', resources: ['horizontalpodautoscalers'] },
  { group: GROUPS.policy, resources: ['poddisruptionbudgets'] },
];

/** Every preset reads. No Secrets, and nothing about who may do what. */
export const READ_GRANTS: readonly Grant[] = [
  ...WORKLOADS.map((grant) => ({ ...grant, verbs: READ_VERBS })),
  {
    group: '',
    resources: ['events', 'endpoints', 'replicationcontrollers', 'resourcequotas', 'limitranges'],
    verbs: READ_VERBS,
  },
  { group: '', resources: ['pods/log', 'pods/status'], verbs: ['get'] },
  {
    group: '',
    resources: ['nodes', 'namespaces', 'persistentvolumes'],
    verbs: READ_VERBS,
    cluster: true,
  },
  { group: GROUPS.apps, resources: ['replicasets', 'controllerrevisions'], verbs: READ_VERBS },
  {
    group: GROUPS.apps,
    resources: ['deployments/status', 'statefulsets/status', 'daemonsets/status'],
    verbs: ['get'],
  },
  {
    group: GROUPS.apps,
    resources: ['deployments/scale', 'statefulsets/scale', 'replicasets/scale'],
    verbs: ['get'],
  },
  { group: GROUPS.discovery, resources: ['endpointslices'], verbs: READ_VERBS },
  { group: GROUPS.events, resources: ['events'], verbs: READ_VERBS },
  // They say which hosts are routes and which listeners are tunnels. This API exists only where
  // somebody has installed it.
  {
    group: GROUPS.gateway,
    resources: ['gateways', 'httproutes', 'tcproutes', 'udproutes'],
    verbs: READ_VERBS,
  },
  {
    group: GROUPS.networking,
    resources: ['ingressclasses'],
    verbs: READ_VERBS,
    cluster: true,
  },
  { group: GROUPS.storage, resources: ['storageclasses'], verbs: READ_VERBS, cluster: true },
  { group: GROUPS.metrics, resources: ['pods'], verbs: ['get', 'list'] },
  { group: GROUPS.metrics, resources: ['nodes'], verbs: ['get', 'list'], cluster: true },
];

/** `standard` and `operate`: applications, and namespaces for them. */
export const CHANGE_GRANTS: readonly Grant[] = [
  ...WORKLOADS.map((grant) => ({ ...grant, verbs: WRITE_VERBS })),
  {
    group: GROUPS.apps,
    resources: ['deployments/scale', 'statefulsets/scale', 'replicasets/scale'],
    verbs: ['update', 'patch'],
  },
  { group: '', resources: ['namespaces'], verbs: ['create', 'patch'], cluster: true },
];

/**
 * Access that only some commands need: when none of them is allowed, the proxy does not have it
 * either.
 */
export const COMMAND_GRANTS: readonly {
  readonly commands: readonly PolicyCommand[];
  readonly grant: Grant;
}[] = [
  {
    commands: ['cordon', 'uncordon', 'drain'],
    grant: { group: '', resources: ['nodes'], verbs: ['patch'], cluster: true },
  },
  {
    commands: ['drain'],
    grant: { group: '', resources: ['pods/eviction'], verbs: ['create'] },
  },
];

/** What can be switched on its own, in the order of `policy show`. */
export const SWITCHES = [
  'exec',
  'attach',
  'port_forward',
  'tunnel.kubernetes_api',
  'secrets.read',
  'secrets.write',
] as const;
export type Switch = (typeof SWITCHES)[number];

export const SWITCH_GRANTS: Readonly<Record<Switch, readonly Grant[]>> = {
  exec: [{ group: '', resources: ['pods/exec'], verbs: STREAM_VERBS }],
  attach: [{ group: '', resources: ['pods/attach'], verbs: STREAM_VERBS }],
  // The proxy of the API server reaches the same ports as a port-forward.
  port_forward: [
    { group: '', resources: ['pods/portforward'], verbs: STREAM_VERBS },
    {
      group: '',
      resources: ['pods/proxy', 'services/proxy'],
      verbs: ['get', 'create', 'update', 'patch', 'delete'],
    },
  ],
  // The API server through the tunnel: callers bring their own account.
  'tunnel.kubernetes_api': [],
  'secrets.read': [{ group: '', resources: ['secrets'], verbs: READ_VERBS }],
  // No patch: its answer holds the whole object.
  'secrets.write': [{ group: '', resources: ['secrets'], verbs: ['create', 'update', 'delete'] }],
};

/** The switch that decides about a resource, if one does. */
export function switchOf(resource: string, verb: string): Switch | undefined {
  for (const name of SWITCHES) {
    const grants = SWITCH_GRANTS[name];
    if (grants.some((each) => each.resources.includes(resource) && each.verbs.includes(verb))) {
      return name;
    }
  }
  return undefined;
}
