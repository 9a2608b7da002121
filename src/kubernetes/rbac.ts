import { type AdmissionLimits, admissionManifests } from './admission-policy.ts';

/** Where the agent's own objects live. */
export const AGENT_NAMESPACE = 'pipeops-system';
export const AGENT_SERVICE_ACCOUNT = 'pipeops-agent';

const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'pipeops-agent' };

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

/** What it may do with its own account: renew its token. */
const OWN_RULES: readonly Rule[] = [
  {
    apiGroups: [''],
    resources: ['serviceaccounts/token'],
    resourceNames: [AGENT_SERVICE_ACCOUNT],
    verbs: ['create'],
  },
];

/**
 * Namespace, account, permissions and admission policy, as one List that `kubectl apply -f -` takes.
 * @param grants what the local policy lets the account do in the whole cluster
 */
export function accountManifest(grants: readonly ResourceGrant[], limits: AdmissionLimits): string {
  const clusterRules: readonly Rule[] = grants.map(({ group, resources, verbs }) => ({
    apiGroups: [group],
    resources,
    verbs,
  }));
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
    // The wall stands before there is anything to keep in.
    ...admissionManifests(
      {
        name: 'pipeops-agent',
        namespace: AGENT_NAMESPACE,
        serviceAccount: AGENT_SERVICE_ACCOUNT,
      },
      limits,
      MANAGED_BY,
    ),
    { apiVersion, kind: 'ClusterRole', metadata: metadata('pipeops-agent'), rules: clusterRules },
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
