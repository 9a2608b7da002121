import { GROUPS, KINDS, LIST_TYPE, typeOf } from '../../core/kinds.ts';
import { JOINING_GROUP, MANAGED_BY } from '../../core/labels.ts';
/** Where the agent's own objects live. */
export const AGENT_NAMESPACE = 'pipeops-system';
export const AGENT_SERVICE_ACCOUNT = 'pipeops-agent';
/** Names of the Secrets begin so that the agents of a cluster share as their memory. */
export const MEMORY_PREFIX = 'pipeops-agent-memory-';
/** For the kubelets, which see its tokens. So it may read the figures of nodes and nothing else. */
export const STATS_SERVICE_ACCOUNT = 'pipeops-agent-stats';

/** Which server has the session (kubernetes/lease/). */
export const SESSION_LEASE = 'pipeops-agent';
/** Which server restarts its k3s. */
export const RESTART_LEASE = 'pipeops-agent-restart';
/** What the servers need to be one agent to the control plane: its name, and the token. */
export const SESSION_SECRET = 'pipeops-agent-session';
/** What all servers have in common (protocol/files/shared-settings.ts). */
export const SHARED_SETTINGS = 'pipeops-agent-settings';
export const SHARED_POLICY = 'pipeops-agent-policy';
/**
 * Objects in its namespace that the agent may read and change. They are made here, without content,
 * because the right to make one cannot be limited to a name.
 */
export const OWN_OBJECTS = [
  { group: GROUPS.coordination, resource: KINDS.lease.plural, name: SESSION_LEASE },
  { group: GROUPS.coordination, resource: KINDS.lease.plural, name: RESTART_LEASE },
  { group: '', resource: KINDS.secret.plural, name: SESSION_SECRET },
];

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface ResourceGrant {
  readonly group: string;
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** A ConfigMap with one key. */
export interface SharedText {
  readonly name: string;
  readonly key: string;
  readonly text: string;
}

/**
 * For the memory that the agents of a cluster share. An account of its own, so that nothing that comes through
 * the proxy, which has the agent's own account, could read or change it.
 */
export const MEMORY_SERVICE_ACCOUNT = 'pipeops-agent-memory';

/** The accounts whose tokens the agent may mint. */
export const TOKENS_OF: readonly string[] = [
  AGENT_SERVICE_ACCOUNT,
  STATS_SERVICE_ACCOUNT,
  MEMORY_SERVICE_ACCOUNT,
];

/** What it may do in its own namespace. */
const OWN_RULES: readonly Rule[] = [
  {
    apiGroups: [''],
    resources: ['serviceaccounts/token'],
    resourceNames: TOKENS_OF,
    verbs: ['create'],
  },
  ...OWN_OBJECTS.map(({ group, resource, name }) => ({
    apiGroups: [group],
    resources: [resource],
    resourceNames: [name],
    verbs: ['get', 'update'],
  })),
  {
    apiGroups: [''],
    resources: [KINDS.configMap.plural],
    resourceNames: [SHARED_POLICY],
    verbs: ['get'],
  },
];

/** Nodes whose machines have left, and no others: the admission policy says which. */
const LEFT_RULES: readonly Rule[] = [{ apiGroups: [''], resources: ['nodes'], verbs: ['delete'] }];

/** Of a machine that joins: whether its name is taken. Each holder of a token can become a node. */
const JOINING_RULES: readonly Rule[] = [
  { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list'] },
];

/** And of a server that joins: how the other servers reach the control plane, and what that may do. */
const JOINING_SERVER_RULES: readonly Rule[] = [
  {
    apiGroups: [''],
    resources: [KINDS.configMap.plural],
    resourceNames: [SHARED_SETTINGS, SHARED_POLICY],
    verbs: ['get'],
  },
];

/** The kubelet asks for one of them when its figures are read at port 10250. */
const STATS_RULES: readonly Rule[] = [
  { apiGroups: [''], resources: ['nodes/stats', 'nodes/metrics'], verbs: ['get'] },
];

/** Its objects come and go, and RBAC knows no beginnings of names. */
const MEMORY_RULES: readonly Rule[] = [
  {
    apiGroups: [''],
    resources: [KINDS.secret.plural],
    verbs: ['get', 'list', 'create', 'patch', 'delete'],
  },
];

/**
 * Namespace, accounts, permissions and admission policy, as one List that `kubectl apply -f -` takes.
 * @param grants what the local policy lets the account do in the whole cluster
 * @param admission what Kubernetes checks of what it writes
 * @param options.takesOutNodes it may delete the nodes of machines that have left
 * @param options.shared ConfigMaps with one key each, for the other servers
 */
export function accountManifest(
  grants: readonly ResourceGrant[],
  admission: readonly unknown[],
  options: { readonly takesOutNodes: boolean; readonly shared: readonly SharedText[] },
): string {
  const clusterRules: readonly Rule[] = grants.map(({ group, resources, verbs }) => ({
    apiGroups: [group],
    resources,
    verbs,
  }));
  const items = [
    { ...typeOf(KINDS.namespace), metadata: metadata(AGENT_NAMESPACE) },
    serviceAccount(AGENT_SERVICE_ACCOUNT),
    { ...typeOf(KINDS.lease), metadata: metadata(SESSION_LEASE, AGENT_NAMESPACE) },
    { ...typeOf(KINDS.lease), metadata: metadata(RESTART_LEASE, AGENT_NAMESPACE) },
    { ...typeOf(KINDS.secret), metadata: metadata(SESSION_SECRET, AGENT_NAMESPACE) },
    // The admission policy stands before there are permissions for it to limit.
    ...admission,
    ...permissions(accountOf(AGENT_SERVICE_ACCOUNT), {
      name: 'pipeops-agent',
      rules: clusterRules,
    }),
    ...permissions(accountOf(AGENT_SERVICE_ACCOUNT), {
      name: 'pipeops-agent-own-token',
      namespace: AGENT_NAMESPACE,
      rules: OWN_RULES,
    }),
    // Without rules where that is not allowed: "kubectl apply" takes away no object that is not named.
    ...permissions(accountOf(AGENT_SERVICE_ACCOUNT), {
      name: 'pipeops-agent-left-nodes',
      rules: options.takesOutNodes ? LEFT_RULES : [],
    }),
    ...options.shared.map(({ name, key, text }) => ({
      ...typeOf(KINDS.configMap),
      metadata: metadata(name, AGENT_NAMESPACE),
      data: { [key]: text },
    })),
    ...permissions(JOINING, { name: 'pipeops-agent-joining', rules: JOINING_RULES }),
    ...permissions(JOINING, {
      name: 'pipeops-agent-joining',
      namespace: AGENT_NAMESPACE,
      rules: JOINING_SERVER_RULES,
    }),
    serviceAccount(STATS_SERVICE_ACCOUNT),
    ...permissions(accountOf(STATS_SERVICE_ACCOUNT), {
      name: STATS_SERVICE_ACCOUNT,
      rules: STATS_RULES,
    }),
    serviceAccount(MEMORY_SERVICE_ACCOUNT),
    ...permissions(accountOf(MEMORY_SERVICE_ACCOUNT), {
      name: MEMORY_SERVICE_ACCOUNT,
      namespace: AGENT_NAMESPACE,
      rules: MEMORY_RULES,
    }),
  ];
  return JSON.stringify({ ...LIST_TYPE, items });
}

/** The same without the namespace itself. @param manifest of `accountManifest` */
export function withoutNamespace(manifest: string): string {
  const list = JSON.parse(manifest) as { readonly items: readonly { readonly kind: string }[] };
  const items = list.items.filter(({ kind }) => kind !== 'Namespace');
  return JSON.stringify({ ...list, items });
}

function metadata(name: string, namespace?: string) {
  return { name, labels: MANAGED_BY, ...(namespace === undefined ? {} : { namespace }) };
}

function serviceAccount(name: string) {
  return { ...typeOf(KINDS.serviceAccount), metadata: metadata(name, AGENT_NAMESPACE) };
}

type Subject = Readonly<Record<string, string>>;
const JOINING: Subject = { apiGroup: GROUPS.rbac, kind: 'Group', name: JOINING_GROUP };

function accountOf(name: string): Subject {
  return { kind: 'ServiceAccount', name, namespace: AGENT_NAMESPACE };
}

/** A role and its binding; in the whole cluster where no namespace is given. */
function permissions(
  subject: Subject,
  role: { readonly name: string; readonly namespace?: string; readonly rules: readonly Rule[] },
) {
  const { apiVersion } = KINDS.role;
  const kind = role.namespace === undefined ? 'ClusterRole' : 'Role';
  const own = { apiVersion, metadata: metadata(role.name, role.namespace) };
  return [
    { ...own, kind, rules: role.rules },
    {
      ...own,
      kind: `${kind}Binding`,
      roleRef: { apiGroup: GROUPS.rbac, kind, name: role.name },
      subjects: [subject],
    },
  ];
}
