/** One command of each type, and what must be there for it; in a namespace of its own. */
import type { HelperRequest } from '../../src/protocol/helper.ts';
import type { FakeKubernetes } from '../support/fake-kubernetes.ts';

export interface CommandSample {
  readonly payload: Readonly<Record<string, unknown>>;
  /** Puts there what it needs. */
  readonly prepare?: (kubernetes: FakeKubernetes, namespace: string) => void;
}

const MANAGED = { labels: { 'app.kubernetes.io/managed-by': 'pipeops-agent' } };
const REVISION = 'deployment.kubernetes.io/revision';
const apps = (namespace: string) => `/apis/apps/v1/namespaces/${namespace}`;
const core = (namespace: string) => `/api/v1/namespaces/${namespace}`;

/** What root's helper answers. */
export const HELPER_ANSWERS: Readonly<Record<HelperRequest['verb'], Record<string, unknown>>> = {
  mint_join_token: {
    token: 'pj1.token',
    id: 'abcdef',
    role: 'agent',
    expires: '2026-01-01T00:15:00.000Z',
    servers: ['https://10.0.0.1:6443'],
  },
  snapshot: {
    name: 'command-0123456789ab',
    created: '2026-01-01T00:00:00.000Z',
    bytes: 1_000,
    datastore: 'sqlite',
    node: 'node-1',
  },
  upgrade_agent: { state: 'current' },
  upgrade_outcome: { state: 'none' },
  host_facts: { findings: [], k3s: { restart: null, authority_ends: null } },
  restart_k3s: { restarted: null },
  upgrade_k3s: { state: 'led', to: 'v1.37.0+k3s1', drain: true, nodes: [] },
  upgrade_k3s_next: { state: 'led', to: 'v1.37.0+k3s1', drain: true, nodes: [] },
  upgrade_k3s_state: { state: 'none' },
  support_bundle: {
    name: 'support-2026-01-01T00-00-00Z-0123456789ab',
    path: '/var/lib/support.tar.gz',
    created: '2026-01-01T00:00:00Z',
    bytes: 1_000,
    sha256: 'a'.repeat(64),
    node: 'node-1',
  },
};

export function sampleOf(type: string, namespace: string): CommandSample | undefined {
  const target = { name: 'web', namespace };
  switch (type) {
    case 'deploy':
      return {
        payload: { ...target, image: 'web:1', ports: [{ container_port: 80 }] },
        prepare: putNamespace,
      };
    case 'update':
      return { payload: { ...target, image: 'web:3' }, prepare: putDeployment };
    case 'scale':
      return { payload: { ...target, replicas: 3 }, prepare: putDeployment };
    case 'rollback':
    case 'restart':
      return { payload: target, prepare: putDeployment };
    case 'delete':
      return {
        payload: target,
        prepare: (kubernetes) => {
          putDeployment(kubernetes, namespace);
          kubernetes.put(`${core(namespace)}/services/web`, { metadata: MANAGED });
        },
      };
    case 'apply':
      return { payload: { manifest: manifestOf(namespace) }, prepare: putDiscovery };
    case 'get_resources':
      return { payload: { kinds: ['pods'], namespace } };
    case 'logs':
    case 'exec': {
      const command = type === 'exec' ? { command: ['date'] } : {};
      return { payload: { pod: 'web-0', namespace, ...command }, prepare: putPod };
    }
    case 'cordon':
    case 'uncordon':
    case 'drain':
      return {
        payload: { node: namespace },
        prepare: (kubernetes) => {
          const spec = { unschedulable: type === 'uncordon' };
          kubernetes.put(`/api/v1/nodes/${namespace}`, { spec });
          if (type === 'drain') {
            putPod(kubernetes, namespace);
          }
        },
      };
    case 'join_token':
      return { payload: { role: 'agent', ttl_seconds: 60 } };
    case 'snapshot':
    case 'support_bundle':
      return { payload: {} };
    case 'rotate_token':
      return { payload: { new_token: 'another-token' } };
    case 'upgrade_k3s':
      return { payload: { version: 'v1.37.0+k3s1' } };
    case 'upgrade_agent':
      return { payload: { version: '9.9.9', jitter_seconds: 0 } };
    default:
      return undefined;
  }
}

function manifestOf(namespace: string): string {
  return ['a', 'b']
    .map((name) =>
      JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace } }),
    )
    .join('\n---\n');
}

function putNamespace(kubernetes: FakeKubernetes, namespace: string): void {
  kubernetes.put(`/api/v1/namespaces/${namespace}`, {});
}

function putDiscovery(kubernetes: FakeKubernetes, namespace: string): void {
  putNamespace(kubernetes, namespace);
  kubernetes.put('/api/v1', {
    resources: [{ name: 'configmaps', kind: 'ConfigMap', namespaced: true }],
  });
}

function putPod(kubernetes: FakeKubernetes, namespace: string): void {
  kubernetes.put(`${core(namespace)}/pods/web-0`, {
    metadata: { namespace, ownerReferences: [{ kind: 'ReplicaSet', controller: true }] },
    spec: { nodeName: namespace, containers: [{ name: 'web' }] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [{ name: 'web', state: { running: {} } }],
    },
  });
  kubernetes.put(`${core(namespace)}/pods/web-0/log`, {});
}

/** A Deployment that had another image before. */
function putDeployment(kubernetes: FakeKubernetes, namespace: string): void {
  putNamespace(kubernetes, namespace);
  const path = `${apps(namespace)}/deployments/web`;
  const template = (image: string) => ({
    metadata: { labels: {} },
    spec: { containers: [{ name: 'web', image }] },
  });
  kubernetes.put(path, {
    metadata: { ...MANAGED, namespace, annotations: { [REVISION]: '2' } },
    spec: { replicas: 1, template: template('web:2') },
  });
  const uid = kubernetes.object(path)?.metadata.uid;
  for (const revision of [1, 2]) {
    kubernetes.put(`${apps(namespace)}/replicasets/web-${revision}`, {
      metadata: { annotations: { [REVISION]: String(revision) }, ownerReferences: [{ uid }] },
      spec: { template: template(`web:${revision}`) },
    });
  }
}
