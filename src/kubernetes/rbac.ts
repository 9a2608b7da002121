/** Where the agent's own objects live. */
export const AGENT_NAMESPACE = 'pipeops-system';
export const AGENT_SERVICE_ACCOUNT = 'pipeops-agent';

const READ = ['get', 'list', 'watch'];
const WRITE = [...READ, 'create', 'patch', 'update', 'delete'];
const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'pipeops-agent' };

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/**
 * What the agent may do in the whole cluster: what its commands need, and nothing that gives it
 * more (no bind, escalate, impersonate, nodes/proxy, pods/exec, no reading of Secrets).
 */
const CLUSTER_RULES: readonly Rule[] = [
  { apiGroups: [''], resources: ['nodes', 'pods', 'events'], verbs: READ },
  { apiGroups: [''], resources: ['namespaces'], verbs: [...READ, 'create', 'patch'] },
  { apiGroups: [''], resources: ['services'], verbs: WRITE },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: WRITE },
  { apiGroups: ['apps'], resources: ['replicasets'], verbs: READ },
];

/** What it may do with its own account: renew its token. */
const OWN_RULES: readonly Rule[] = [
  {
    apiGroups: [''],
    resources: ['serviceaccounts/token'],
    resourceNames: [AGENT_SERVICE_ACCOUNT],
    verbs: ['create'],
  },
];

/** Namespace, account and permissions, as one List that `kubectl apply -f -` takes. */
export function rbacManifest(): string {
  const metadata = (name: string, namespace?: string) => ({
    name,
    labels: MANAGED_BY,
    ...(namespace === undefined ? {} : { namespace }),
  });
  const subjects = [
    { kind: 'ServiceAccount', name: AGENT_SERVICE_ACCOUNT, namespace: AGENT_NAMESPACE },
  ];
  const group = 'rbac.authorization.k8s.io';
  const apiVersion = `${group}/v1`;
  const binding = (kind: 'ClusterRole' | 'Role', name: string) => ({
    roleRef: { apiGroup: group, kind, name },
    subjects,
  });
  const own = 'pipeops-agent-own-token';
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: metadata(AGENT_NAMESPACE) },
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: metadata(AGENT_SERVICE_ACCOUNT, AGENT_NAMESPACE),
    },
    { apiVersion, kind: 'ClusterRole', metadata: metadata('pipeops-agent'), rules: CLUSTER_RULES },
    {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata: metadata('pipeops-agent'),
      ...binding('ClusterRole', 'pipeops-agent'),
    },
    { apiVersion, kind: 'Role', metadata: metadata(own, AGENT_NAMESPACE), rules: OWN_RULES },
    {
      apiVersion,
      kind: 'RoleBinding',
      metadata: metadata(own, AGENT_NAMESPACE),
      ...binding('Role', own),
    },
  ];
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}
