import { expect, test } from 'bun:test';
import { permissionsManifest } from '../../src/machine/kubernetes-account.ts';
import { policyOfPreset } from '../../src/machine/policy-preset.ts';
import { COMMAND_HOST_VERBS, effectivePolicy } from '../../src/policy/effective.ts';
import { policyOf } from '../../src/policy/evaluate.ts';
import {
  POLICY_COMMANDS,
  type PolicyCommand,
  PolicyFile,
} from '../../src/protocol/files/policy.ts';
import { POLICY_PRESETS, type PolicyPreset } from '../../src/protocol/files/policy-presets.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}
interface Item {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly rules?: readonly Rule[];
}

const itemsOf = (preset: PolicyPreset) =>
  (JSON.parse(permissionsManifest(policyOfPreset(preset))) as { items: readonly Item[] }).items;
const clusterRules = (preset: PolicyPreset) =>
  itemsOf(preset).flatMap(({ kind, metadata, rules = [] }) =>
    kind === 'ClusterRole' && metadata.name === 'pipeops-agent' ? rules : [],
  );
const may = (preset: PolicyPreset, verb: string, group: string, resource: string) =>
  clusterRules(preset).some(
    (rule) =>
      rule.apiGroups.includes(group) &&
      rule.resources.includes(resource) &&
      rule.verbs.includes(verb),
  );

/** Accesses of each command type: verb, group, resource. Root's helper needs none of them. */
const NEEDS: Readonly<Partial<Record<PolicyCommand, readonly (readonly string[])[]>>> = {
  get_resources: [
    ...['nodes', 'namespaces', 'pods', 'services', 'events'].map((kind) => ['list', '', kind]),
    ['list', 'apps', 'deployments'],
  ],
  logs: [
    ['get', '', 'pods/log'],
    ['list', '', 'pods'],
  ],
  deploy: [
    ['patch', 'apps', 'deployments'],
    ['patch', '', 'services'],
    ['patch', 'networking.k8s.io', 'ingresses'],
    ['create', '', 'namespaces'],
    ['list', 'apps', 'replicasets'],
  ],
  update: [['patch', 'apps', 'deployments']],
  scale: [['patch', 'apps', 'deployments']],
  rollback: [
    ['list', 'apps', 'replicasets'],
    ['patch', 'apps', 'deployments'],
  ],
  restart: [['patch', 'apps', 'deployments']],
  delete: [
    ['delete', 'apps', 'deployments'],
    ['delete', '', 'services'],
    ['delete', 'networking.k8s.io', 'ingresses'],
  ],
  apply: [
    ...['configmaps', 'serviceaccounts', 'persistentvolumeclaims'].map((kind) => [
      'patch',
      '',
      kind,
    ]),
    ['create', '', 'secrets'],
    ['update', '', 'secrets'],
    ['patch', 'apps', 'statefulsets'],
    ['patch', 'batch', 'cronjobs'],
  ],
  cordon: [['patch', '', 'nodes']],
  uncordon: [['patch', '', 'nodes']],
  drain: [
    ['create', '', 'pods/eviction'],
    ['patch', '', 'nodes'],
    ['list', 'policy', 'poddisruptionbudgets'],
  ],
  exec: [
    ['create', '', 'pods/exec'],
    ['get', '', 'pods/exec'],
  ],
};

/** They need no right in Kubernetes. */
const WITHOUT_NEEDS: readonly string[] = [...Object.keys(COMMAND_HOST_VERBS), 'rotate_token'];

test.each([...POLICY_PRESETS])(
  '%s promises what its ClusterRole gives, and nothing else',
  (preset) => {
    const policy = policyOf(effectivePolicy(policyOfPreset(preset)));
    for (const type of POLICY_COMMANDS.filter((each) => !WITHOUT_NEEDS.includes(each))) {
      const promised = policy.command({ type, namespace: 'shop' }).allowed;
      const needs = (NEEDS[type] ?? []).map(([verb = '', group = '', kind = '']) => {
        const [resource = '', subresource = ''] = kind.split('/');
        const namespace = kind === 'nodes' || kind === 'namespaces' ? '' : 'shop';
        const access = { verb, group, resource, subresource, namespace, name: 'x' };
        return { rbac: may(preset, verb, group, kind), policy: policy.access(access).allowed };
      });
      expect([type, needs.map(({ rbac }) => rbac)]).toEqual([
        type,
        needs.map((need) => need.policy),
      ]);
      expect([type, needs.every(({ rbac }) => rbac)]).toEqual([type, promised]);
    }
  },
);

test.each([...POLICY_PRESETS])('%s gives no way to more than it gives', (preset) => {
  expect(itemsOf(preset).map(({ kind }) => kind)).toEqual([
    'Namespace',
    'ServiceAccount',
    ...['Lease', 'Lease', 'Secret'], // By which its servers share one session, and restart in turn.
    'ValidatingAdmissionPolicy',
    'ValidatingAdmissionPolicyBinding',
    'ClusterRole',
    'ClusterRoleBinding',
    'Role',
    'RoleBinding',
    ...['ClusterRole', 'ClusterRoleBinding'], // Nodes that have left.
    'ConfigMap', // For the other servers.
    ...['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'], // Of machines that join.
    'ServiceAccount',
    'ClusterRole',
    'ClusterRoleBinding',
    ...['ServiceAccount', 'Role', 'RoleBinding'], // The memory of the cluster.
  ]);
  const forbidden =
    /\*|nodes\/|impersonate|"bind|escalate|roles|ephemeralcontainers|deletecollection|webhook|customresource|apiservices|serviceaccounts\/token/;
  expect(clusterRules(preset).filter((rule) => forbidden.test(JSON.stringify(rule)))).toEqual([]);
  const own = itemsOf(preset).flatMap(({ metadata, rules = [] }) =>
    metadata.name === 'pipeops-agent-own-token' ? rules : [],
  );
  expect(own).toEqual([
    {
      apiGroups: [''],
      resources: ['serviceaccounts/token'],
      resourceNames: ['pipeops-agent', 'pipeops-agent-stats', 'pipeops-agent-memory'],
      verbs: ['create'],
    },
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      resourceNames: ['pipeops-agent'],
      verbs: ['get', 'update'],
    },
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      resourceNames: ['pipeops-agent-restart'],
      verbs: ['get', 'update'],
    },
    {
      apiGroups: [''],
      resources: ['secrets'],
      resourceNames: ['pipeops-agent-session'],
      verbs: ['get', 'update'],
    },
    {
      apiGroups: [''],
      resources: ['configmaps'],
      resourceNames: ['pipeops-agent-policy'],
      verbs: ['get'],
    },
  ]);
});

test('nodes that have left are taken out, unless the policy says otherwise', () => {
  const rulesOf = (text: string) =>
    (JSON.parse(text) as { items: readonly Item[] }).items.flatMap(({ kind, metadata, rules }) =>
      kind === 'ClusterRole' && metadata.name === 'pipeops-agent-left-nodes' ? [rules] : [],
    );
  const deleting = [{ apiGroups: [''], resources: ['nodes'], verbs: ['delete'] }];
  expect(rulesOf(permissionsManifest(policyOfPreset('read-only')))).toEqual([deleting]);
  const denied = PolicyFile.parse({ workers: { leave: false } });
  // Still named, so that "policy apply" takes the permission away.
  expect(rulesOf(permissionsManifest(denied))).toEqual([[]]);
});

test('who holds a join token may look at the nodes and at what servers share, and do nothing', () => {
  const { items } = JSON.parse(permissionsManifest(policyOfPreset('operate'))) as {
    items: readonly (Item & { readonly subjects?: unknown })[];
  };
  const joining = items.filter(({ metadata }) => metadata.name === 'pipeops-agent-joining');
  const group = {
    apiGroup: 'rbac.authorization.k8s.io',
    kind: 'Group',
    name: 'system:bootstrappers:k3s:default-node-token',
  };
  expect(joining.map(({ rules, subjects }) => rules ?? subjects)).toEqual([
    [{ apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list'] }],
    [group],
    [
      {
        apiGroups: [''],
        resources: ['configmaps'],
        resourceNames: ['pipeops-agent-settings', 'pipeops-agent-policy'],
        verbs: ['get'],
      },
    ],
    [group],
  ]);
});

test('the account that kubelets see reads their figures and nothing else', () => {
  const rules = itemsOf('operate').flatMap((item) =>
    item.kind !== 'ServiceAccount' && item.metadata.name === 'pipeops-agent-stats'
      ? (item.rules ?? [])
      : [],
  );
  expect(rules).toEqual([
    { apiGroups: [''], resources: ['nodes/stats', 'nodes/metrics'], verbs: ['get'] },
  ]);
});

test('the memory of the cluster has an account of its own, for Secrets of one namespace', () => {
  const { items } = JSON.parse(permissionsManifest(policyOfPreset('operate'))) as {
    items: readonly (Item & { readonly subjects?: unknown })[];
  };
  const memory = items.filter(
    ({ kind, metadata }) => kind !== 'ServiceAccount' && metadata.name === 'pipeops-agent-memory',
  );
  const namespace = 'pipeops-system';
  expect(
    memory.map(({ kind, metadata, rules, subjects }) => [kind, metadata, rules ?? subjects]),
  ).toEqual([
    [
      'Role',
      expect.objectContaining({ namespace }),
      [
        {
          apiGroups: [''],
          resources: ['secrets'],
          verbs: ['get', 'list', 'create', 'patch', 'delete'],
        },
      ],
    ],
    [
      'RoleBinding',
      expect.objectContaining({ namespace }),
      [{ kind: 'ServiceAccount', name: 'pipeops-agent-memory', namespace }],
    ],
  ]);
});

test('only operate reads Secrets and runs programs', () => {
  const questions = [
    ['get', 'secrets'],
    ['list', 'secrets'],
    ['patch', 'secrets'],
    ['create', 'pods/exec'],
    ['create', 'pods/attach'],
    ['create', 'pods/portforward'],
  ] as const;
  const answers = POLICY_PRESETS.map((preset) =>
    questions.map(([verb, resource]) => may(preset, verb, '', resource)),
  );
  expect(answers).toEqual([
    [false, false, false, false, false, false],
    [false, false, false, false, false, false],
    [true, true, false, true, true, true],
  ]);
});
