/** What a server that leaves asks: etcd here, and the API of another server, as far as k3s answers it. */
import type { SimulatedMachine } from './simulated-machine.ts';

const OTHER = 'https://10.0.0.2:6443';
const NODE = `${OTHER}/api/v1/nodes/node-1`;
const PASSWORD = `${OTHER}/api/v1/namespaces/kube-system/secrets/node-1.node-password.k3s`;
const MEMBERS = 'https://127.0.0.1:2382/v3/cluster/member/list';
const DROP_IN = '/run/systemd/system/k3s.service.d/90-pipeops-leave.conf';
const REMOVE = 'etcd.k3s.cattle.io/remove';
const REMOVED = 'etcd.k3s.cattle.io/removed-node-name';
const MEMBER = 'etcd.k3s.cattle.io/node-name';

interface Member {
  readonly votes: boolean;
  readonly isWell: boolean;
}

export interface LeavingCluster {
  /** The other servers. */
  readonly members: Map<string, Member>;
  /** Names of pods on the server that leaves. */
  readonly pods: Set<string>;
  /** Undefined once it is deleted. */
  node:
    | {
        metadata: { annotations: Record<string, string | null>; deletionTimestamp?: string };
        spec: Record<string, unknown>;
      }
    | undefined;
  hasPassword: boolean;
  takesMembersOut: boolean;
  onEviction: () => void;
  onMemberOut: () => void;
  /** Whether the API of this server itself answers. */
  answersHere: boolean;
  /** What it was asked to change, in order. */
  readonly seen: Record<string, unknown>[];
}

/** The cluster of a machine that was installed with `--ha`, with two more servers. */
export async function leavingCluster(machine: SimulatedMachine): Promise<LeavingCluster> {
  const well: Member = { votes: true, isWell: true };
  const cluster: LeavingCluster = {
    members: new Map([
      ['node-2', well],
      ['node-3', well],
    ]),
    pods: new Set(),
    node: { metadata: { annotations: { [MEMBER]: 'node-1-0a1b2c3d' } }, spec: {} },
    hasPassword: true,
    takesMembersOut: true,
    onEviction: () => undefined,
    onMemberOut: () => undefined,
    answersHere: true,
    seen: [],
  };
  const server = '/var/lib/rancher/k3s/server';
  await machine.put(`${server}/db/etcd/name`, '');
  await machine.put(`${server}/tls/client-admin.crt`, 'of the administrator');
  await machine.put(`${server}/tls/client-admin.key`, 'the key');
  machine.programs.set('/usr/local/bin/k3s', (argv) => {
    const isOfCluster = argv.slice(1, 4).join(' ') === 'kubectl get nodes';
    return !isOfCluster
      ? undefined
      : cluster.answersHere
        ? { stdout: JSON.stringify({ items: nodesOf(cluster) }) }
        : { exitCode: 1, stderr: 'Error from server (Forbidden): not here' };
  });
  machine.web.set(MEMBERS, () => Response.json({ members: membersOf(cluster) }));
  machine.web.set(NODE, (_, init) => answerNode(machine, cluster, init));
  machine.web.set(PASSWORD, (_, init) => answerPassword(cluster, init));
  machine.web.set(`${OTHER}/api/v1/pods`, () =>
    Response.json({ metadata: {}, items: [...cluster.pods].map(podOf) }),
  );
  machine.web.set(`${OTHER}/api/v1/namespaces/shop/`, (url) => evict(cluster, url));
  return cluster;
}

function nodesOf({ members }: LeavingCluster): readonly unknown[] {
  const all = [['node-1', { isWell: true }] as const, ...members];
  return all.map(([name, { isWell }]) => ({
    metadata: { name, labels: { 'node-role.kubernetes.io/control-plane': 'true' } },
    status: {
      addresses: [{ type: 'InternalIP', address: `10.0.0.${name.at(-1)}` }],
      conditions: [{ type: 'Ready', status: isWell ? 'True' : 'Unknown' }],
      nodeInfo: { kubeletVersion: 'v1.36.3+k3s1', architecture: 'amd64' },
    },
  }));
}

/** etcd leaves out what is empty or false. */
function membersOf({ members, node }: LeavingCluster): readonly unknown[] {
  const own =
    node?.metadata.annotations[REMOVED] === undefined ? [{ name: 'node-1-0a1b2c3d' }] : [];
  const others = [...members].map(([name, { votes }]) => ({
    name: `${name}-0a1b2c3d`,
    ...(votes ? {} : { isLearner: true }),
  }));
  return [...own, ...others];
}

async function answerNode(
  machine: SimulatedMachine,
  cluster: LeavingCluster,
  init: RequestInit | undefined,
): Promise<Response> {
  const { node, seen } = cluster;
  if (node === undefined) {
    return Response.json({ kind: 'Status', code: 404 }, { status: 404 });
  }
  const patch = init?.method === 'PATCH' ? JSON.parse(String(init.body)) : {};
  if (patch.spec !== undefined) {
    node.spec = { ...node.spec, ...patch.spec };
    seen.push({ what: patch.spec.unschedulable === true ? 'cordoned' : 'uncordoned' });
  }
  const asked = patch.metadata?.annotations?.[REMOVE];
  if (asked !== undefined) {
    node.metadata.annotations[REMOVE] = asked;
    seen.push({ what: `etcd: ${REMOVE}=${asked}`, ...(await stateOf(machine)) });
  }
  if (asked === 'true' && cluster.takesMembersOut) {
    node.metadata.annotations[REMOVED] = node.metadata.annotations[MEMBER] ?? null;
    delete node.metadata.annotations[MEMBER];
    cluster.onMemberOut();
  }
  if (node.metadata.deletionTimestamp !== undefined) {
    cluster.node = undefined; // k3s' finalizer is done by the next look.
  }
  if (init?.method === 'DELETE') {
    node.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    seen.push({ what: 'node deleted', ...(await stateOf(machine)) });
  }
  const { metadata, spec } = node;
  return Response.json({ metadata: { name: 'node-1', uid: 'uid-1', ...metadata }, spec });
}

async function stateOf(machine: SimulatedMachine) {
  return {
    agent: machine.units.get('pipeops-agent.service') ?? 'inactive',
    k3s: machine.units.get('k3s.service') ?? 'inactive',
    starts: machine.enabled.has('k3s.service'),
    restarts: (await machine.files.stat(DROP_IN)) === undefined,
  };
}

function answerPassword(cluster: LeavingCluster, init: RequestInit | undefined): Response {
  if (!cluster.hasPassword) {
    return Response.json({ kind: 'Status', code: 404 }, { status: 404 });
  }
  if (init?.method === 'DELETE') {
    cluster.hasPassword = false;
  }
  return Response.json({ metadata: { uid: 'uid-2' } });
}

function podOf(name: string) {
  const ownerReferences = [{ controller: true, kind: 'ReplicaSet', name: 'of-it' }];
  return { metadata: { name, namespace: 'shop', uid: name, ownerReferences } };
}

function evict(cluster: LeavingCluster, url: string): Response {
  const [, name = ''] = /pods\/([^/?]+)\/eviction/.exec(url) ?? [];
  if (cluster.pods.delete(name)) {
    cluster.seen.push({ what: `evicted ${name}` });
    cluster.onEviction();
  }
  return Response.json({ kind: 'Status', status: 'Success' });
}
