/** What the agent on a server does about tokens that are used up and machines that have left. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { workers } from '../../../src/kubernetes/nodes/workers.ts';
import { sharedFollowing } from '../../../src/kubernetes/watch/shared-following.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import type { JoinLimits } from '../../../src/protocol/join-limits.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../../support/fake-kubernetes.ts';
import { clientOf } from '../../support/fake-kubernetes-client.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { until } from '../../support/until.ts';

const SECRET = '/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef';
const LIMITS = '/api/v1/namespaces/kube-system/configmaps/pipeops-agent-join-abcdef';

let kubernetes: FakeKubernetes;
let stop: AbortController;
let done: Promise<unknown>;
let log: ReturnType<typeof memoryLog>;
let watched: ReturnType<typeof workers>;

beforeEach(async () => {
  kubernetes = await startFakeKubernetes();
  stop = new AbortController();
  log = memoryLog();
});
afterEach(async () => {
  stop.abort();
  await done;
  await kubernetes[Symbol.asyncDispose]();
});

async function start(): Promise<void> {
  const deps = { clock: systemClock, random: seededRandom(1), log, client: clientOf(kubernetes) };
  watched = workers({ ...deps, follow: sharedFollowing(deps) });
  done = (await watched.service.start(stop.signal)).done;
}

function putToken(limits: Partial<JoinLimits> = {}): void {
  const whole = { v: 1, uses: 1, created: '2026-01-01T00:00:00Z', ...limits };
  kubernetes.put(SECRET, { metadata: { uid: 'secret-1' } });
  kubernetes.put(LIMITS, {
    metadata: {
      labels: { 'pipeops.io/join-token': 'abcdef' },
      ownerReferences: [{ kind: 'Secret', name: 'bootstrap-token-abcdef', uid: 'secret-1' }],
    },
    data: { limits: JSON.stringify(whole) },
  });
}

interface NodeOptions {
  readonly ready?: boolean;
  readonly address?: string;
  readonly annotations?: Record<string, string>;
  readonly labels?: Record<string, string>;
}

function putNode(name: string, options: NodeOptions = {}): void {
  const { ready = true, address = '10.0.0.9', annotations, labels = {} } = options;
  kubernetes.put(`/api/v1/nodes/${name}`, {
    metadata: {
      labels,
      annotations: annotations ?? { 'pipeops.io/join-token': 'abcdef' },
      creationTimestamp: `2026-01-01T00:00:0${name.at(-1)}Z`,
    },
    status: {
      addresses: [{ type: 'InternalIP', address }],
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  });
}

const deletions = () => kubernetes.requests.filter((each) => each.startsWith('DELETE '));
const deleted = (path: string) =>
  until(`${path} is deleted`, () => deletions().includes(`DELETE ${path}`));
/** All that is known now has been looked at: a change that calls for a deletion is answered. */
async function seenAll(): Promise<void> {
  putNode('gone-9', { annotations: { 'pipeops.io/left': 'now' } });
  await deleted('/api/v1/nodes/gone-9');
}

test('a token for one node ends when that node is ready', async () => {
  putToken();
  putNode('worker-1', { ready: false });
  await start();
  await seenAll();
  expect(deletions()).not.toContain(`DELETE ${SECRET}`);
  putNode('worker-1');
  await deleted(SECRET);
  expect(watched.trespassers()).toEqual([]);
});

test('a token for two nodes lives on after the first', async () => {
  putToken({ uses: 2 });
  putNode('worker-1');
  await start();
  await seenAll();
  expect(deletions()).not.toContain(`DELETE ${SECRET}`);
  putNode('worker-2');
  await deleted(SECRET);
});

test('a token without a number of uses lives until it ends by itself', async () => {
  putToken({ uses: 0 });
  putNode('worker-1');
  putNode('worker-2');
  await start();
  await seenAll();
  expect(deletions()).not.toContain(`DELETE ${SECRET}`);
});

test.each([
  ['another name', { node: 'rack2-*' }, 'with a join token for the name "rack2-*"'],
  [
    'another network',
    { from: ['192.168.0.0/16'] },
    'from 10.0.0.9, with a join token for 192.168.0.0/16',
  ],
])(
  'a token that was used by a node of %s ends at once, and the node is told',
  async (_, bound, how) => {
    putToken({ uses: 0, ...bound });
    putNode('worker-1', { ready: false });
    await start();
    await deleted(SECRET);
    expect(watched.trespassers()).toEqual([
      { node: 'worker-1', message: `Node "worker-1" joined ${how}` },
    ]);
  },
);

test('whoever slipped in after the last use is told', async () => {
  putToken();
  putNode('worker-1');
  putNode('worker-2');
  await start();
  await deleted(SECRET);
  expect(watched.trespassers()).toEqual([
    {
      node: 'worker-2',
      message: 'Node "worker-2" joined with a join token for 1 that was used up',
    },
  ]);
});

test('a node that has left is taken out; a server never, and others not', async () => {
  const left = { 'pipeops.io/left': '2026-01-01T00:00:00Z' };
  putNode('worker-1', { annotations: left });
  putNode('worker-2', { annotations: {} });
  putNode('server-3', {
    annotations: left,
    labels: { 'node-role.kubernetes.io/control-plane': 'true' },
  });
  await start();
  await deleted('/api/v1/nodes/worker-1');
  await seenAll();
  expect([...new Set(deletions())]).toEqual([
    'DELETE /api/v1/nodes/worker-1',
    'DELETE /api/v1/nodes/gone-9',
  ]);
});

test('what Kubernetes refuses is told once, and does not end the service', async () => {
  kubernetes.refuse = (method) => (method === 'DELETE' ? 403 : undefined);
  putNode('worker-1', { annotations: { 'pipeops.io/left': 'now' } });
  await start();
  await until('the log tells it', () =>
    log.entries.some(({ message }) => message.startsWith('cannot take out')),
  );
  expect(deletions()).toHaveLength(1);
});
