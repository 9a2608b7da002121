/** What Kubernetes itself refuses the agent's account, on a real cluster: the wall behind the policy. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { permissionsManifest } from '../../src/machine/kubernetes-account.ts';
import { podSecurityProblem } from '../../src/policy/pod-security/problem.ts';
import { PolicyFile } from '../../src/protocol/files/policy.ts';
import { podSecurityFixtures } from '../policy/pod-security-fixtures.ts';
import { randomPod } from '../policy/random-pods.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { installK3s, waitForNode } from '../vm/k3s-install.ts';
import { type K3sMirror, startK3sMirror } from '../vm/k3s-mirror.ts';
import { type Lab, openLab } from '../vm/lab.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { type ApiAnswer, type ClusterApi, clusterApi } from './policy/cluster-api.ts';
import {
  type Attempt,
  grantedWrites,
  NARROW_POLICY,
  namespaceWrites,
  narrowWrites,
  nodeWrites,
  ownerAndTokenWrites,
  protectedNameWrites,
  protectedWrites,
  TOKEN_SECRETS,
  tokenSecretWrites,
  WIDE_POLICY,
  WIDGETS,
  widgetWrites,
} from './policy/writes.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 180_000;
const IN_FORCE_TIMEOUT_MS = 20_000;
const NODE = 'policy-server';
const RANDOM_PODS = 200;
const RANDOM_PODS_SEED = 20_261_129;
const AGENT = '--as=system:serviceaccount:pipeops-system:pipeops-agent';

const progress = reportProgress('policy');
let lab: Lab;
let server: Machine;
let mirror: K3sMirror;
/** Asked as the agent's account, and as the cluster's administrator. */
let api: ClusterApi;
let admin: ClusterApi;

beforeAll(async () => {
  await prepareTestMachines(progress);
  lab = await openLab({ name: 'policy' });
  mirror = await startK3sMirror({ hostname: lab.hostAddress });
  server = await lab.boot({ name: NODE, base: 'kubernetes', images: true });
  await progress.phase('k3s', () => installK3s(server, mirror, { role: 'server' }));
  await waitForNode(server, NODE);
  await kubectl(['create', 'namespace', 'shop']);
  await kubectl(['create', 'serviceaccount', 'default', '--namespace=kube-public']);
  for (const namespace of ['kube-public', 'shop']) {
    const web = JSON.stringify(pod(namespace));
    await saysInTheEnd(() => kubectl(['create', '-f', '-'], web), 'pod/web created');
  }
  const widgets = await kubectl(['create', '-f', '-'], JSON.stringify(WIDGETS));
  expect(widgets).toContain('created');
  await kubectl(['create', '-f', '-'], JSON.stringify(TOKEN_SECRETS));
  await apply({});
  const { stdout: ca } = await server.exec([
    'cat',
    '/var/lib/rancher/k3s/server/tls/server-ca.crt',
  ]);
  const asAccount = async (account: string, namespace: string) => {
    const token = await kubectl(['create', 'token', account, '-n', namespace]);
    return clusterApi(`https://${server.address}:6443`, ca, token.trim());
  };
  api = await asAccount('pipeops-agent', 'pipeops-system');
  const role = ['--clusterrole=cluster-admin', '--serviceaccount=kube-public:default'];
  await kubectl(['create', 'clusterrolebinding', 'test-admin', ...role]);
  admin = await asAccount('default', 'kube-public');
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await lab?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

async function kubectl(args: readonly string[], stdin?: string): Promise<string> {
  const options = { check: false, ...(stdin === undefined ? {} : { stdin }) };
  const { stdout, stderr } = await server.exec(['k3s', 'kubectl', ...args], options);
  return stdout + stderr;
}

/** Sets the account's permissions as `policy apply` does. */
async function apply(policy: Readonly<Record<string, unknown>>): Promise<void> {
  const manifest = permissionsManifest(PolicyFile.parse(policy));
  const argv = ['apply', '--server-side', '--force-conflicts', '-f', '-'];
  const said = await kubectl(argv, manifest);
  expect(said.split('\n').filter((line) => !line.endsWith('serverside-applied'))).toEqual(['']);
}

/** The API server acts on changed accounts, roles and policies from its caches, a moment after the write. */
async function saysInTheEnd(ask: () => Promise<string>, expected: string): Promise<void> {
  let said = '';
  await waitUntil(`the cluster says ${expected}`, IN_FORCE_TIMEOUT_MS, async () => {
    said = await ask();
    return said.includes(expected) ? true : undefined;
  }).catch(() => expect(said).toContain(expected));
}

/** Each attempt comes to what is expected of it, once the policy that was just applied is in force. */
async function comeTo(attempts: readonly Attempt[]): Promise<void> {
  const expected = attempts.map(([what, , outcome]) => [what, outcome]);
  let outcomes: unknown[] = [];
  await waitUntil('each write comes to what is expected', IN_FORCE_TIMEOUT_MS, async () => {
    const answers = await api.askAll(attempts.map(([, question]) => question));
    outcomes = answers.map((answer, index) => [attempts[index]?.[0], outcomeOf(answer)]);
    return Bun.deepEquals(outcomes, expected) ? true : undefined;
  }).catch(() => expect(outcomes).toEqual(expected));
}

function outcomeOf({ status, message }: ApiAnswer): string {
  if (status < 300) {
    return 'allowed';
  }
  const rule = /\(([a-z.-]+)\)$/.exec(message)?.[1];
  return rule ?? (/ cannot [a-z]+ resource /.test(message) ? 'rbac' : `${status} ${message}`);
}

const pod = (namespace: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace },
  spec: { containers: [{ name: 'c', image: 'x' }] },
});

test.each(['baseline', 'restricted'] as const)(
  "the level %s is Kubernetes' own: each of its examples, in whatever makes pods",
  async (level) => {
    await apply({ pod_security: level });
    const attempts = (await podSecurityFixtures(level)).flatMap(({ name, pod: example, passes }) =>
      inEveryKind(example).map(([path, body]): Attempt => {
        const outcome = passes ? 'allowed' : 'pod-security';
        return [`${name} ${path}`, { method: 'POST', path, body }, outcome];
      }),
    );
    await comeTo(attempts);
  },
  TEST_TIMEOUT_MS,
);

test.each(['baseline', 'restricted'] as const)(
  'of pods at random, Kubernetes refuses at level %s those that both walls refuse, and no others',
  async (level) => {
    const oracle = `oracle-${level}`;
    await kubectl(['create', 'namespace', oracle]);
    await kubectl(['create', 'serviceaccount', 'default', '-n', oracle]);
    await kubectl(['label', 'namespace', oracle, `pod-security.kubernetes.io/enforce=${level}`]);
    await apply({ pod_security: level });
    const random = seededRandom(RANDOM_PODS_SEED);
    const pods = Array.from({ length: RANDOM_PODS }, (_, index) => randomPod(random, `p-${index}`));
    const ask = (asked: ClusterApi, namespace: string) =>
      asked.askAll(
        pods.map((body) => ({
          method: 'POST',
          path: `/api/v1/namespaces/${namespace}/pods`,
          body,
        })),
      );
    const theirs = await ask(admin, oracle);
    // What Kubernetes would not take from anybody tells nothing of the level.
    const wanted = theirs.map(({ status }) => (status === 422 ? undefined : status < 300));
    let ours: unknown[] = [];
    const expected = pods.map((pod, index) => [pod, wanted[index], wanted[index]]);
    await waitUntil('both walls say what Kubernetes says', IN_FORCE_TIMEOUT_MS, async () => {
      const answers = await ask(api, 'shop');
      ours = pods.map((pod, index) =>
        wanted[index] === undefined
          ? [pod, undefined, undefined]
          : [
              ...[pod, (answers[index]?.status ?? 0) < 300],
              podSecurityProblem(level, pod) === undefined,
            ],
      );
      return Bun.deepEquals(ours, expected) ? true : undefined;
    }).catch(() => expect(ours).toEqual(expected));
    // Both are well represented, or this says little.
    const count = (verdict: boolean) => wanted.filter((each) => each === verdict).length;
    expect(Math.min(count(true), count(false))).toBeGreaterThan(RANDOM_PODS / 20);
  },
  TEST_TIMEOUT_MS,
);

/** A pod, and the template of it in what is made of pods. */
function inEveryKind(example: Readonly<Record<string, unknown>>): readonly [string, object][] {
  const { metadata, spec } = example as { metadata: { annotations?: object }; spec: object };
  const labels = { app: 'example' };
  const template = { metadata: { labels, annotations: metadata.annotations ?? {} }, spec };
  const selector = { matchLabels: labels };
  const job = { ...template, spec: { ...spec, restartPolicy: 'Never' } };
  const make = (group: string, plural: string, kind: string, own: object): [string, object] => [
    `/apis/${group}/v1/namespaces/shop/${plural}`,
    { apiVersion: `${group}/v1`, kind, metadata: { name: 'example' }, spec: own },
  ];
  return [
    ['/api/v1/namespaces/shop/pods', example],
    make('apps', 'deployments', 'Deployment', { selector, template }),
    make('batch', 'cronjobs', 'CronJob', {
      schedule: '0 0 1 1 *',
      jobTemplate: { spec: { template: job } },
    }),
  ];
}

test(
  'standard: nodes are cordoned, and nothing else of nodes, namespaces, owners and tokens is changed',
  async () => {
    await apply({});
    await comeTo([
      ...nodeWrites(NODE),
      ...namespaceWrites(),
      ...ownerAndTokenWrites(),
      ...protectedNameWrites(),
      ...protectedWrites(),
      ...tokenSecretWrites(),
    ]);
  },
  TEST_TIMEOUT_MS,
);

test(
  'what root grants beyond the presets meets the same walls',
  async () => {
    await apply(WIDE_POLICY);
    await comeTo([
      ...grantedWrites(NODE),
      ...widgetWrites(),
      ...nodeWrites(NODE),
      ...namespaceWrites(),
    ]);
  },
  TEST_TIMEOUT_MS,
);

test(
  'a narrowed policy is narrow in Kubernetes, too',
  async () => {
    await apply(NARROW_POLICY);
    await comeTo(narrowWrites(NODE));
  },
  TEST_TIMEOUT_MS,
);

/** Where an account is let in, with a token as the agent mints it. */
async function doorsOf(
  account: string,
  addresses: readonly string[],
): Promise<Readonly<Record<string, boolean>>> {
  const token = await kubectl(['create', 'token', account, '-n', 'pipeops-system', AGENT]);
  expect(token).toMatch(/^eyJ/);
  const isLetIn = async (address: string) => {
    const { stdout } = await server.exec([
      ...['curl', '-sk', '-o', '/dev/null', '-w', '%{http_code}'],
      ...['-H', `Authorization: Bearer ${token.trim()}`, `https://127.0.0.1:${address}`],
    ]);
    return [address, stdout !== '401' && stdout !== '403'] as const;
  };
  return Object.fromEntries(await Promise.all(addresses.map(isLetIn)));
}

test(
  'the account that kubelets see reads figures of nodes and nothing else',
  async () => {
    await apply({});
    const addresses = [
      '10250/stats/summary',
      '10250/pods',
      '6443/api/v1/pods',
      '6443/api/v1/nodes',
    ];
    expect(await doorsOf('pipeops-agent-stats', addresses)).toEqual({
      '10250/stats/summary': true,
      '10250/pods': false,
      '6443/api/v1/pods': false,
      '6443/api/v1/nodes': false,
    });
  },
  TEST_TIMEOUT_MS,
);

test(
  'the memory of commands is open to its own account, which opens nothing else',
  async () => {
    await apply({});
    const there = '6443/api/v1/namespaces/pipeops-system';
    const others = ['6443/api/v1/secrets', '6443/api/v1/namespaces/kube-system/secrets'];
    const doors = [`${there}/secrets`, `${there}/configmaps`, '10250/stats/summary', ...others];
    expect(await doorsOf('pipeops-agent-memory', doors)).toEqual(
      Object.fromEntries(doors.map((door) => [door, door === `${there}/secrets`])),
    );
    expect(await doorsOf('pipeops-agent', [`${there}/secrets`])).toEqual({
      [`${there}/secrets`]: false,
    });
  },
  TEST_TIMEOUT_MS,
);

test(
  'the presets differ in what the account may do',
  async () => {
    const questions = [
      ['list', 'pods', '-A'],
      ['get', 'pods', '--subresource=log', '-n', 'shop'],
      ['patch', 'deployments', '-n', 'shop'],
      ['create', 'secrets', '-n', 'shop'],
      ['get', 'secrets', '-n', 'shop'],
      ['create', 'pods', '--subresource=exec', '-n', 'shop'],
      ['get', 'nodes', '--subresource=proxy'],
      ['escalate', 'clusterroles'],
      ['patch', 'pods', '--subresource=ephemeralcontainers', '-n', 'shop'],
    ];
    const answers = async () => {
      const said = [];
      for (const question of questions) {
        const text = await kubectl(['auth', 'can-i', AGENT, ...question]);
        // Beside the answer there may be a warning.
        said.push(text.split('\n').find((line) => line === 'yes' || line === 'no'));
      }
      return said.join(' ');
    };
    const expected = [
      ['read-only', 'yes yes no no no no no no no'],
      ['standard', 'yes yes yes yes no no no no no'],
      ['operate', 'yes yes yes yes yes yes no no no'],
    ] as const;
    for (const [preset, permissions] of expected) {
      await apply({ preset });
      await saysInTheEnd(answers, permissions);
    }
    const exec = ['exec', '-n', 'kube-public', 'web', AGENT, '--', 'true'];
    await saysInTheEnd(() => kubectl(exec), 'protected-namespaces');
  },
  TEST_TIMEOUT_MS,
);
