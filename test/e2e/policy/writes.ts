/** What the agent's account tries to write, and what Kubernetes has to say to it. */
import type { ApiQuestion } from './cluster-api.ts';

const APPLY = 'application/apply-patch+yaml';
const JSON_PATCH = 'application/json-patch+json';
const NOBODY = { apiVersion: 'v1', kind: 'ConfigMap', name: 'gone', uid: 'nobody-has-this' };

/** The word in parentheses at the end of a refusal's message, or `allowed`. */
export type Outcome = 'allowed' | string;
export type Attempt = readonly [string, ApiQuestion, Outcome];

const patch = (path: string, body: unknown, type?: string): ApiQuestion => ({
  method: 'PATCH',
  path,
  body,
  ...(type === undefined ? {} : { type }),
});
const create = (path: string, body: object): ApiQuestion => ({ method: 'POST', path, body });
const apply = (path: string, body: object): ApiQuestion => ({
  ...patch(`${path}?fieldManager=test&force=true`, body, APPLY),
});

/** @param node the name of one that is there */
export function nodeWrites(node: string): readonly Attempt[] {
  const path = `/api/v1/nodes/${node}`;
  const whole = { apiVersion: 'v1', kind: 'Node', metadata: { name: node } };
  return [
    ['cordon', patch(path, { spec: { unschedulable: true } }), 'allowed'],
    ['cordon by apply', apply(path, { ...whole, spec: { unschedulable: true } }), 'allowed'],
    ['uncordon', patch(path, { spec: { unschedulable: null } }), 'allowed'],
    [
      'a label',
      patch(path, { metadata: { labels: { 'svccontroller.k3s.cattle.io/x': 'y' } } }),
      'nodes',
    ],
    [
      'no label',
      patch(path, { metadata: { labels: { 'kubernetes.io/hostname': null } } }),
      'nodes',
    ],
    [
      'an annotation beside cordon',
      patch(path, {
        metadata: { annotations: { 'flannel.alpha.coreos.com/public-ip': '192.0.2.1' } },
        spec: { unschedulable: true },
      }),
      'nodes',
    ],
    ['a taint', patch(path, { spec: { taints: [{ key: 'a', effect: 'NoExecute' }] } }), 'nodes'],
    ['an owner', patch(path, { metadata: { ownerReferences: [NOBODY] } }), 'nodes'],
    [
      'an owner by JSON patch',
      patch(path, [{ op: 'add', path: '/metadata/ownerReferences', value: [NOBODY] }], JSON_PATCH),
      'nodes',
    ],
    [
      'an owner by apply',
      apply(path, { ...whole, metadata: { name: node, ownerReferences: [NOBODY] } }),
      'nodes',
    ],
    ['a finalizer', patch(path, { metadata: { finalizers: ['example.com/x'] } }), 'nodes'],
    [
      'that its machine has left',
      patch(path, { metadata: { annotations: { 'pipeops.io/left': 'now' } } }),
      'nodes',
    ],
    ['its end', { method: 'DELETE', path }, 'workers.leave'],
  ];
}

export function namespaceWrites(): readonly Attempt[] {
  const path = '/api/v1/namespaces/shop';
  const level = { 'pod-security.kubernetes.io/enforce': 'privileged' };
  const made = (metadata: object) =>
    create('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'new', ...metadata },
    });
  return [
    ['a label', patch(path, { metadata: { labels: { team: 'a' } } }), 'allowed'],
    ['a level', patch(path, { metadata: { labels: level } }), 'namespaces'],
    ['an owner', patch(path, { metadata: { ownerReferences: [NOBODY] } }), 'namespaces'],
    ['a finalizer', patch(path, { metadata: { finalizers: ['example.com/x'] } }), 'namespaces'],
    ['a new one', made({}), 'allowed'],
    ['a new one with a level', made({ labels: level }), 'namespaces'],
    ['a new one with an owner', made({ ownerReferences: [NOBODY] }), 'namespaces'],
    ['a new one with a finalizer', made({ finalizers: ['example.com/x'] }), 'namespaces'],
    ['a new one of Kubernetes', made({ name: 'kube-mine' }), 'protected-namespaces'],
    [
      'a level by apply',
      apply('/api/v1/namespaces/shop', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: 'shop', labels: level },
      }),
      'namespaces',
    ],
  ];
}

export function ownerAndTokenWrites(): readonly Attempt[] {
  const accounts = '/api/v1/namespaces/pipeops-system/serviceaccounts';
  const token = (account: string, expirationSeconds?: number) =>
    create(`${accounts}/${account}/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [], ...(expirationSeconds === undefined ? {} : { expirationSeconds }) },
    });
  const month = 30 * 24 * 3_600;
  const inShop = (kind: string, plural: string, more: object) =>
    create(`/api/v1/namespaces/shop/${plural}`, {
      apiVersion: 'v1',
      kind,
      metadata: { name: 'x', ownerReferences: [NOBODY] },
      ...more,
    });
  return [
    ['an owner of what it may delete', inShop('ConfigMap', 'configmaps', {}), 'allowed'],
    ['its own token', token('pipeops-agent', month), 'allowed'],
    ['its own token of the usual life', token('pipeops-agent'), 'allowed'],
    ['its own token for longer', token('pipeops-agent', month + 1), 'own-tokens'],
    ['its own token for ten years', token('pipeops-agent', 120 * month), 'own-tokens'],
    ['a token for kubelets', token('pipeops-agent-stats', 3_600), 'allowed'],
    ['a token of another account', token('default', 3_600), 'rbac'],
    [
      'a Secret that is a token',
      create('/api/v1/namespaces/shop/secrets', {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/service-account-token',
        metadata: { name: 't', annotations: { 'kubernetes.io/service-account.name': 'default' } },
      }),
      'own-tokens',
    ],
  ];
}

/** Evictions and its own token are all that it writes in namespaces of Kubernetes and of itself. */
export function protectedWrites(): readonly Attempt[] {
  const named = (kind: string, name: string) => ({
    apiVersion: 'v1',
    kind,
    metadata: { name },
    ...(kind === 'Pod' ? { spec: { containers: [{ name: 'c', image: 'x' }] } } : {}),
  });
  const web = '/api/v1/namespaces/kube-public/pods/web';
  return [
    [
      'a pod',
      create('/api/v1/namespaces/kube-public/pods', named('Pod', 'x')),
      'protected-namespaces',
    ],
    [
      'a Secret beside its own',
      create('/api/v1/namespaces/pipeops-system/secrets', named('Secret', 's')),
      'protected-namespaces',
    ],
    [
      'a label of a namespace',
      patch('/api/v1/namespaces/kube-system', { metadata: { labels: { a: 'b' } } }),
      'protected-namespaces',
    ],
    ['a pod, deleted', { method: 'DELETE', path: web }, 'protected-namespaces'],
    [
      'a pod, evicted',
      create(`${web}/eviction`, {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        deleteOptions: { dryRun: ['All'] },
        metadata: { name: 'web', namespace: 'kube-public' },
      }),
      'allowed',
    ],
    [
      'a Service with the address of others',
      create('/api/v1/namespaces/shop/services', {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 's' },
        spec: { ports: [{ port: 80 }], externalIPs: ['192.0.2.1'] },
      }),
      'pod-security',
    ],
  ];
}

/** What root has made in kube-system: a join token as `token create` makes it, one of another tool, a label alone. */
export const TOKEN_SECRETS = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    tokenSecret('bootstrap-token-aaaaaa', { 'pipeops.io/join-token': 'aaaaaa' }),
    tokenSecret('bootstrap-token-bbbbbb', {}),
    { ...tokenSecret('key', { 'pipeops.io/join-token': 'aaaaaa' }), type: 'Opaque' },
  ],
};

function tokenSecret(name: string, labels: Readonly<Record<string, string>>) {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'bootstrap.kubernetes.io/token',
    metadata: { name, namespace: 'kube-system', labels },
  };
}

/** Where the account may write Secrets. */
export function tokenSecretWrites(): readonly Attempt[] {
  const path = (name: string) => `/api/v1/namespaces/kube-system/secrets/${name}`;
  const end = (name: string): ApiQuestion => ({ method: 'DELETE', path: path(name) });
  const put = (name: string): ApiQuestion => ({
    ...{ method: 'PUT', path: path(name) },
    body: tokenSecret(name, { 'pipeops.io/join-token': 'x' }),
  });
  return [
    ['a join token, ended', end('bootstrap-token-aaaaaa'), 'allowed'],
    ["another tool's, ended", end('bootstrap-token-bbbbbb'), 'protected-namespaces'],
    ['what is no token, deleted', end('key'), 'protected-namespaces'],
    ["another tool's, made ours", put('bootstrap-token-bbbbbb'), 'protected-namespaces'],
    ['a join token, changed', put('bootstrap-token-aaaaaa'), 'protected-namespaces'],
  ];
}

export function protectedNameWrites(): readonly Attempt[] {
  const labels = { a: 'b' };
  const ca = '/api/v1/namespaces/shop/configmaps/kube-root-ca.crt';
  return [
    [
      'the Service',
      patch('/api/v1/namespaces/default/services/kubernetes', { metadata: { labels } }),
      'protected-names',
    ],
    [
      'the Service, deleted',
      { method: 'DELETE', path: '/api/v1/namespaces/default/services/kubernetes' },
      'protected-names',
    ],
    ['the certificate', patch(ca, { data: { 'ca.crt': 'mine' } }), 'protected-names'],
    ['the certificate, deleted', { method: 'DELETE', path: ca }, 'protected-names'],
  ];
}

/** Of a policy that grants what no preset has: the walls stay. */
export const WIDE_POLICY = {
  preset: 'operate',
  resources: [
    { group: '', resource: 'persistentvolumes', scope: 'cluster', write: true },
    { group: '', resource: 'endpoints', write: true },
    { group: 'discovery.k8s.io', resource: 'endpointslices', write: true },
    { group: '', resource: '*/status', scope: 'cluster', write: true },
    { group: 'apps', resource: '*/status', write: true },
    { group: '', resource: 'configmaps', verbs: ['deletecollection'] },
    { group: '', resource: 'pods', verbs: ['deletecollection'] },
    { group: '', resource: 'pods/ephemeralcontainers', verbs: ['patch', 'update'] },
    { group: '', resource: 'nodes', scope: 'cluster', write: true },
    { group: '', resource: 'namespaces', scope: 'cluster', write: true },
    {
      group: 'apiextensions.k8s.io',
      resource: 'customresourcedefinitions',
      scope: 'cluster',
      write: true,
    },
    { group: 'example.com', resource: '*', write: true },
  ],
};

export function grantedWrites(node: string): readonly Attempt[] {
  const volume = (source: object) =>
    create('/api/v1/persistentvolumes', {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'v' },
      spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], ...source },
    });
  const nodeAffinity = {
    required: {
      nodeSelectorTerms: [
        { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
      ],
    },
  };
  const slice = (name: string, service: string) =>
    create('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      addressType: 'IPv4',
      metadata: { name, labels: { 'kubernetes.io/service-name': service } },
      endpoints: [{ addresses: ['192.0.2.1'] }],
    });
  const debug = (securityContext: object) =>
    patch(
      '/api/v1/namespaces/shop/pods/web/ephemeralcontainers',
      { spec: { ephemeralContainers: [{ name: 'd', image: 'x', securityContext }] } },
      'application/strategic-merge-patch+json',
    );
  const all = (kind: string, namespace: string): ApiQuestion => ({
    ...{ method: 'DELETE', path: `/api/v1/namespaces/${namespace}/${kind}` },
  });
  return [
    ['a volume that is a path', volume({ hostPath: { path: '/' } }), 'pod-security'],
    [
      'a volume that is a local path',
      volume({ local: { path: '/' }, nodeAffinity }),
      'pod-security',
    ],
    ['a volume elsewhere', volume({ nfs: { server: '192.0.2.1', path: '/' } }), 'allowed'],
    [
      'endpoints of the API',
      patch('/api/v1/namespaces/default/endpoints/kubernetes', {
        metadata: { labels: { a: 'b' } },
      }),
      'protected-names',
    ],
    ['a slice of the API', slice('mine', 'kubernetes'), 'protected-names'],
    ['a slice with the name', slice('kubernetes-x', 'web'), 'protected-names'],
    ['a slice of an application', slice('mine', 'web'), 'allowed'],
    [
      'a node by its status',
      patch(`/api/v1/nodes/${node}/status`, { metadata: { labels: { a: 'b' } } }),
      'nodes',
    ],
    [
      'a node that is none',
      create('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'mine' } }),
      'nodes',
    ],
    [
      'a namespace by its status',
      patch('/api/v1/namespaces/shop/status', {
        metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
      }),
      'namespaces',
    ],
    ['all pods of a namespace', all('pods', 'shop'), 'allowed'],
    ['all pods of Kubernetes', all('pods', 'kube-public'), 'protected-namespaces'],
    ['the certificate, with all else', all('configmaps', 'shop'), 'protected-names'],
    ['a debugging container', debug({}), 'allowed'],
    ['a privileged debugging container', debug({ privileged: true }), 'pod-security'],
    [
      'its own namespace, deleted',
      { method: 'DELETE', path: '/api/v1/namespaces/pipeops-system' },
      'protected-namespaces',
    ],
  ];
}

/** A kind that is not Kubernetes' own, whose objects may hold anything. */
export const WIDGETS = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        },
      },
    ],
  },
};

/** Pods are found where Kubernetes has them; what only looks a little like one is let through. */
export function widgetWrites(): readonly Attempt[] {
  const path = '/apis/example.com/v1/namespaces/shop/widgets';
  const widget = (spec: unknown, outcome: Outcome): Attempt => {
    const body = { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w' }, spec };
    return [`a widget ${JSON.stringify(spec)}`, create(path, body), outcome];
  };
  const root = { containers: [{ securityContext: { privileged: true } }] };
  const fine = [
    ...['x', null, [1], {}, { template: 'x' }, { template: { spec: 'x' } }, { jobTemplate: 7 }],
    ...[{ template: { spec: { volumes: 1 } } }, { containers: 'x' }, { containers: ['a', 'b'] }],
    ...[{ containers: { a: 1 } }, { template: { spec: { containers: [{ image: 'x' }] } } }],
  ];
  return [
    ...fine.map((spec) => widget(spec, 'allowed')),
    widget({ template: { spec: root } }, 'pod-security'),
    widget(root, 'pod-security'),
  ];
}

export const NARROW_POLICY = {
  commands: { deny: ['cordon', 'uncordon', 'drain'] },
  namespaces: { allow: ['shop*', 'new'], deny: ['shop-bank'] },
};

export function narrowWrites(node: string): readonly Attempt[] {
  const namespace = (name: string) =>
    create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  const configMap = (name: string) =>
    create(`/api/v1/namespaces/${name}/configmaps`, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'x' },
    });
  return [
    ['a namespace of the list', namespace('shop-2'), 'allowed'],
    ['a namespace beside the list', namespace('bank'), 'namespaces.allow'],
    ['a namespace that is denied', namespace('shop-bank'), 'namespaces.deny'],
    ['an object of the list', configMap('shop'), 'allowed'],
    ['an object beside it', configMap('default'), 'namespaces.allow'],
    ['cordon', patch(`/api/v1/nodes/${node}`, { spec: { unschedulable: true } }), 'rbac'],
  ];
}
