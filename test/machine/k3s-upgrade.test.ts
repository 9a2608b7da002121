/** `upgrade k3s` and the unit that carries it out, on a machine that is played. On real ones: test/e2e. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { errorOf, INSTALL_ENV, setUp } from '../support/installation.ts';
import { identityRow, kineDatabase } from '../support/kine-database.ts';
import { nextKill } from '../support/sampled.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import {
  CLUSTER_CA,
  type Ran,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';

const OLD = 'v1.36.3+k3s1';
const PATCH = 'v1.36.9+k3s1';
const NEXT = 'v1.37.0+k3s1';
const K3S = '/usr/local/bin/k3s';
const DATA = '/var/lib/rancher/k3s';
const HOST_STATE = '/var/lib/pipeops-agent-host';
const RECORD = `${HOST_STATE}/k3s-upgrade.json`;
const RESULT = `${HOST_STATE}/k3s-upgrade-result.json`;
const SERVICE = 'pipeops-agent-k3s-upgrade.service';
/** Minutes are moments. */
const SPEED = 300;
/** More than an upgrade makes. */
const CHANGES_MAX = 200;

/** `up`: its API answers, and its node is never ready. */
type How = 'well' | 'crashes' | 'up';

let machine: SimulatedMachine;
let unit: 'k3s.service' | 'k3s-agent.service';
/** By version, where it is not well. */
let versions: Map<string, How>;
/** What the node says: of the k3s that was started last. */
let running: string;
let node: { spec: { unschedulable?: boolean | null }; annotations: Record<string, string> };
let others: { name: string; version: string; isServer: boolean; isReady: boolean }[];
let pods: string[];
let kept: Set<string>;
/** How often a cordoned node is looked at until the controllers have marked it; undefined: they do not work. */
let looksUntilMarked: number | undefined;
let isMarked: boolean;
/** Pods that were evicted before that. */
let early: string[];
let carrying: Promise<Ran> | undefined;

beforeEach(async () => {
  machine = await simulatedMachine();
  versions = new Map();
  running = OLD;
  node = { spec: {}, annotations: {} };
  [others, pods] = [[], []];
  kept = new Set();
  [looksUntilMarked, isMarked, early] = [1, false, []];
  carrying = undefined;
});
afterEach(async () => {
  await carrying;
  await machine[Symbol.asyncDispose]();
});

async function beServer(): Promise<void> {
  unit = 'k3s.service';
  expect((await setUp(machine, 'install')).exitCode).toBe(0);
  await machine.put(`${DATA}/server/db/state.db`, await kineDatabase(identityRow('token')), 0o600);
  await machine.put(`${DATA}/server/tls/client-admin.crt`, 'of the administrator');
  await machine.put(`${DATA}/server/tls/client-admin.key`, 'the key');
  play('https://127.0.0.1:6443');
}

async function beWorker(): Promise<void> {
  unit = 'k3s-agent.service';
  expect((await setUp(machine, 'join')).exitCode).toBe(0);
  await machine.put(`${DATA}/agent/server-ca.crt`, CLUSTER_CA);
  await machine.put(`${DATA}/agent/client-kubelet.key`, 'the key', 0o600);
  play('https://10.0.0.1:6443');
  machine.web.set('https://10.0.0.1:6443/version', () =>
    Response.json({ gitVersion: others.find(({ isServer }) => isServer)?.version ?? NEXT }),
  );
}

/** The cluster, systemd and k3s, as far as an upgrade sees them. */
function play(api: string): void {
  let looks = 0;
  machine.web.set(`${api}/api/v1/nodes/node-1`, (_, init) => {
    const patch = init?.method === 'PATCH' ? JSON.parse(`${init.body}`) : {};
    node.spec = { ...node.spec, ...patch.spec };
    node.annotations = { ...node.annotations, ...patch.metadata?.annotations };
    const isCordoned = node.spec.unschedulable === true;
    looks = isCordoned ? looks + 1 : 0;
    isMarked = isCordoned && looks > (looksUntilMarked ?? Number.POSITIVE_INFINITY);
    const taints = isMarked ? [{ key: 'node.kubernetes.io/unschedulable' }] : [];
    const spec = { ...node.spec, taints };
    const shown = nodeOf('node-1', running, unit === 'k3s.service', isWell(), spec);
    const { annotations } = node;
    return Response.json({ ...shown, metadata: { ...shown.metadata, annotations } });
  });
  machine.web.set(`${api}/api/v1/nodes`, () => {
    const own = nodeOf('node-1', running, true, isWell(), node.spec);
    const rest = others.map((each) => nodeOf(each.name, each.version, each.isServer, each.isReady));
    return Response.json({ metadata: {}, items: [own, ...rest] });
  });
  machine.web.set(`${api}/api/v1/pods`, () =>
    Response.json({ metadata: {}, items: pods.map(podOf) }),
  );
  machine.web.set(`${api}/api/v1/namespaces/shop/pods/`, (url) => {
    const [, name = ''] = /pods\/([^/?]+)\/eviction/.exec(url) ?? [];
    if (kept.has(name)) {
      return Response.json({ kind: 'Status', reason: 'TooManyRequests' }, { status: 429 });
    }
    pods = pods.filter((each) => each !== name);
    early.push(...(isMarked ? [] : [name]));
    return Response.json({ kind: 'Status', status: 'Success' });
  });
  machine.programs.set(`${K3S}.next`, async () => ({
    stdout: `k3s version ${await machine.files.readText(`${K3S}.next`)} (test)`,
  }));
  machine.programs.set('systemctl', async (argv) => {
    if (argv[1] === 'start' && argv.at(-1) === SERVICE) {
      carrying ??= carryOut();
    }
    if (argv[1] === 'start' && argv.at(-1) === unit) {
      running = (await machine.files.readText(K3S)) ?? '';
      const crashes = versions.get(running) === 'crashes';
      machine.units.set(unit, crashes ? 'failed' : 'active');
      return {};
    }
    return undefined as never; // And what systemctl does as ever.
  });
}

const isWell = () => !versions.has(running);

function nodeOf(name: string, version: string, isServer: boolean, isReady: boolean, spec = {}) {
  const heard = new Date(Date.now() + 3_600_000_000).toISOString();
  return {
    metadata: {
      name,
      labels: isServer ? { 'node-role.kubernetes.io/control-plane': 'true' } : {},
    },
    spec,
    status: {
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False', lastHeartbeatTime: heard }],
      nodeInfo: { kubeletVersion: version, architecture: 'amd64' },
    },
  };
}

function podOf(name: string) {
  const ownerReferences = [{ controller: true, kind: 'ReplicaSet', name: 'of-it' }];
  return { metadata: { name, namespace: 'shop', uid: name, ownerReferences } };
}

const carryOut = () =>
  machine.run(['upgrade', 'k3s-carry-out'], { clock: scaledClock(SPEED), env: INSTALL_ENV });
const upgrade = (...words: readonly string[]) =>
  machine.run(['upgrade', 'k3s', ...words, '--json'], {
    clock: scaledClock(SPEED),
    env: INSTALL_ENV,
  });

/** What stands where, and what is left of the upgrade. */
async function found() {
  await carrying;
  const { files } = machine;
  return {
    k3s: await files.readText(K3S),
    previous: await files.readText(`${K3S}.previous`),
    running,
    cordoned: node.spec.unschedulable === true,
    left: [await files.stat(RECORD), await files.stat(`${K3S}.next`)],
  };
}
const NOTHING_LEFT = { cordoned: false, left: [undefined, undefined] };
const UPGRADED = { k3s: NEXT, previous: OLD, running: NEXT, ...NOTHING_LEFT };
const AS_BEFORE = { k3s: OLD, previous: undefined, running: OLD, ...NOTHING_LEFT };

describe('on a server alone', () => {
  beforeEach(beServer);

  test('the next minor version takes over, with a snapshot of before and the program of before', async () => {
    const ran = await upgrade('--to', NEXT);
    const nodes = [{ node: 'node-1', role: 'server', from: OLD, took_ms: expect.any(Number) }];
    expect([ran.exitCode, JSON.parse(ran.stdout)]).toEqual([0, { to: NEXT, nodes, steps: [] }]);
    expect(await found()).toEqual(UPGRADED);
    const { snapshots } = JSON.parse((await machine.run(['snapshot', 'list', '--json'])).stdout);
    const result = await machine.json(RESULT);
    expect(result).toEqual({
      ...{ v: 1, id: expect.any(String), from: OLD, to: NEXT, role: 'server', node: 'node-1' },
      ...{ outcome: 'done', why: null, snapshot: `k3s-upgrade-${result['id']}` },
      ...{ at: expect.any(String), took_ms: expect.any(Number) },
    });
    expect(snapshots).toMatchObject([{ name: result['snapshot'], kind: 'upgrade', k3s: OLD }]);
    const again = await upgrade('--to', NEXT);
    expect(JSON.parse(again.stdout)).toEqual({ to: NEXT, nodes: [], steps: [] });
  });

  test('--dry-run says what would be done, and changes nothing', async () => {
    const before = await machine.tree();
    const ran = await upgrade('--to', NEXT, '--dry-run');
    expect(JSON.parse(ran.stdout)).toEqual({
      to: NEXT,
      nodes: [{ node: 'node-1', role: 'server', from: OLD, took_ms: null }],
      steps: [
        'Fetch k3s v1.37.0+k3s1 and check its hash; nothing that runs is touched',
        "Make a snapshot of the cluster's data",
        'Leave the pods where they are: they run on while k3s restarts',
        'Put v1.37.0+k3s1 in the place of v1.36.3+k3s1, which is kept beside it, and restart k3s',
        'Wait until the node is ready as that version; if it is not, go back where that is safe',
      ],
    });
    expect(await machine.tree()).toEqual(before);
  });

  test.each([
    ['two minor versions at once', 'v1.38.0+k3s1', /--channel v1\.37$/],
    ['an older version', 'v1.36.2+k3s1', /Back to the k3s of before/],
    ['an older build', 'v1.36.3+k3s0', /Back to the k3s of before/],
    ['another major version', 'v2.0.0+k3s1', /--channel v1\.37$/],
  ])('%s is refused', async (_, to, hint) => {
    expect(errorOf(await upgrade('--to', to))).toMatchObject({
      code: 'VERSION_REFUSED',
      hint: expect.stringMatching(hint),
    });
    expect(await found()).toEqual(AS_BEFORE);
  });

  test.each([
    [['--to', '1.37.0']],
    [['--to', '../v1.37.0+k3s1']],
    [['--channel', '../stable']],
    [['--channel', '']],
  ])('what is no version or channel is refused: %j', async (words) => {
    expect(errorOf(await upgrade(...words))).toMatchObject({ code: 'USAGE' });
  });

  test('a worker that would be too old beside the servers is named', async () => {
    others = [{ name: 'node-2', version: 'v1.33.1+k3s1', isServer: false, isReady: true }];
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({
      code: 'VERSION_REFUSED',
      message: expect.stringContaining('node-2 (v1.33.1+k3s1)'),
    });
  });

  test('a node that is not ready is not upgraded', async () => {
    versions.set(OLD, 'up');
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({ code: 'K3S_NOT_READY' });
  });

  test('a version that ends at its start is left again', async () => {
    versions.set(NEXT, 'crashes');
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({
      code: 'UPGRADE_FAILED',
      message: expect.stringMatching(
        /was not well here, and v1\.36\.3\+k3s1 runs again: .*k3s starts/,
      ),
      details: { outcome: 'went-back' },
    });
    expect(await found()).toEqual({ ...AS_BEFORE, previous: OLD });
  });

  test('once its API was up another minor version stays, and the way back is told', async () => {
    versions.set(NEXT, 'up');
    const told = errorOf(await upgrade('--to', NEXT));
    expect(told).toMatchObject({
      code: 'UPGRADE_FAILED',
      message: expect.stringContaining('the API of v1.37.0+k3s1 was up'),
      hint: expect.stringMatching(/with the snapshot k3s-upgrade-[0-9a-f]{16}$/),
    });
    expect(await found()).toEqual(UPGRADED);
  });

  test('within a minor version it is left again all the same', async () => {
    versions.set(PATCH, 'up');
    expect(errorOf(await upgrade('--to', PATCH))).toMatchObject({
      details: { outcome: 'went-back' },
    });
    expect(await found()).toEqual({ ...AS_BEFORE, previous: OLD });
  });

  test('what is offered under a wrong name changes nothing', async () => {
    machine.programs.set(`${K3S}.next`, () => ({ stdout: 'k3s version v1.30.0+k3s1 (test)' }));
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({ code: 'DOWNLOAD_CORRUPT' });
    expect(await found()).toEqual(AS_BEFORE);
  });

  test('without a unit nothing is begun', async () => {
    await machine.files.remove(`/etc/systemd/system/${SERVICE}`);
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({ code: 'NOT_INSTALLED' });
    expect((await machine.files.stat(RECORD)) ?? null).toBeNull();
  });

  test('a second run goes on with one that was given up', async () => {
    await begin();
    expect(JSON.parse((await upgrade('--to', NEXT)).stdout)).toEqual({
      ...{ to: NEXT, nodes: [], steps: [] },
    });
    expect(await found()).toEqual(UPGRADED);
  });

  test('an uninstallation takes the program of before with it', async () => {
    expect((await upgrade('--to', NEXT)).exitCode).toBe(0);
    expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
    expect(Object.keys(await machine.listing()).filter((path) => path.includes('bin/k3s'))).toEqual(
      [],
    );
  });
});

/** As `upgrade k3s` leaves it to the unit. */
async function begin(changed: object = {}): Promise<void> {
  const role = unit === 'k3s.service' ? 'server' : 'agent';
  const record = {
    ...{ v: 1, id: '0123456789abcdef', from: OLD, to: NEXT, role, node: 'node-1', drains: true },
    ...{ step: 'fetch', judged: 0, served: false, took_pods: null, sha256: null, snapshot: null },
    ...{ outcome: null, why: null, began: '2026-01-01T00:00:00.000Z', ...changed },
  };
  await machine.put(RECORD, JSON.stringify(record));
}

/** Back to the beginning, for one more try. */
async function reset(): Promise<void> {
  await machine.put(K3S, OLD, 0o755);
  await machine.files.remove(`${K3S}.previous`);
  await machine.files.remove(RESULT);
  await machine.files.removeTree('/var/lib/pipeops-agent-snapshots');
  running = OLD;
  machine.units.set(unit, 'active');
  node = { spec: {}, annotations: {} };
  pods = ['web-1'];
  await begin();
}

describe.each([
  ['a server', beServer],
  ['a worker', beWorker],
] as const)('killed at each of its changes, on %s,', (_, be) => {
  beforeEach(async () => {
    await be();
    others = [{ name: 'node-2', version: NEXT, isServer: true, isReady: true }];
  });

  test.each([
    ['a good version runs in the end', undefined, 'done', { ...UPGRADED }],
    ['a bad one is left', 'crashes', 'went-back', { ...AS_BEFORE, previous: OLD }],
  ] as const)('%s', async (_title, how, outcome, then) => {
    if (how !== undefined) {
      versions.set(NEXT, how);
    }
    let changes = 1;
    for (let isKilled = true; isKilled && changes < CHANGES_MAX; ) {
      await reset();
      machine.killAt(changes);
      isKilled = (await carryOut()).exitCode !== 0;
      if (isKilled) {
        expect((await carryOut()).exitCode).toBe(0);
      }
      expect({ changes, ...(await found()), ...(await machine.json(RESULT)) }).toMatchObject({
        ...{ changes, ...then, outcome },
      });
      expect(pods).toEqual([]);
      changes = isKilled ? nextKill(changes) : changes;
    }
    expect(changes).toBeWithin(15, CHANGES_MAX);
  });
});

describe('on a worker', () => {
  beforeEach(beWorker);

  test('the pods are moved away first, and come again', async () => {
    pods = ['web-1', 'web-2'];
    expect(JSON.parse((await upgrade('--to', NEXT)).stdout)).toMatchObject({
      nodes: [{ node: 'node-1', role: 'worker', from: OLD }],
    });
    expect([await found(), pods]).toEqual([UPGRADED, []]);
  });

  test('no pod is moved before the controllers have seen that the node takes none', async () => {
    looksUntilMarked = 20;
    pods = ['web-1'];
    expect((await upgrade('--to', NEXT)).exitCode).toBe(0);
    expect([await found(), pods, early]).toEqual([UPGRADED, [], []]);
  });

  test('while the controllers do not work, the node stays as it was', async () => {
    [looksUntilMarked, pods] = [undefined, ['web-1']];
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({
      code: 'UPGRADE_FAILED',
      message: `k3s ${OLD} runs as before: The controllers of the cluster do not work [K3S_NOT_READY]`,
    });
    expect([await found(), pods]).toEqual([AS_BEFORE, ['web-1']]);
  });

  test('pods that a budget keeps keep the node as it was', async () => {
    [pods, kept] = [['web-1'], new Set(['web-1'])];
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({
      code: 'UPGRADE_FAILED',
      message: expect.stringMatching(/^k3s v1\.36\.3\+k3s1 runs as before: .*web-1/),
      details: { outcome: 'unchanged' },
    });
    expect([await found(), pods]).toEqual([AS_BEFORE, ['web-1']]);
  });

  test('with --no-drain they run on', async () => {
    [pods, kept] = [['web-1'], new Set(['web-1'])];
    expect((await upgrade('--to', NEXT, '--no-drain')).exitCode).toBe(0);
    expect([await found(), pods]).toEqual([UPGRADED, ['web-1']]);
  });

  test('a node that a person has cordoned stays so', async () => {
    node.spec.unschedulable = true;
    expect((await upgrade('--to', NEXT)).exitCode).toBe(0);
    expect(await found()).toEqual({ ...UPGRADED, cordoned: true });
  });

  test('a machine that goes down before its node takes pods again goes on after its start', async () => {
    await begin({ step: 'end', outcome: 'unchanged', took_pods: true });
    node.spec.unschedulable = true;
    const down = new AbortController();
    machine.web.set('https://10.0.0.1:6443/api/v1/nodes/node-1', () => {
      down.abort();
      return Response.json({ kind: 'Status', reason: 'ServiceUnavailable' }, { status: 503 });
    });
    const stopped = await machine.run(['upgrade', 'k3s-carry-out'], {
      ...{ clock: scaledClock(SPEED), env: INSTALL_ENV, signal: down.signal },
    });
    expect(stopped.exitCode).not.toBe(0);
    play('https://10.0.0.1:6443');
    expect((await carryOut()).exitCode).toBe(0);
    expect(await machine.json(RESULT)).toMatchObject({ outcome: 'unchanged', why: null });
    expect((await found()).cordoned).toBe(false);
  });

  test('a version that is newer than the servers is refused', async () => {
    others = [{ name: 'node-2', version: OLD, isServer: true, isReady: true }];
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({
      code: 'VERSION_REFUSED',
      message: expect.stringMatching(/^No worker may be newer than its servers/),
    });
  });

  test('one that was up and not well is left again: it keeps no data', async () => {
    versions.set(NEXT, 'up');
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({
      details: { outcome: 'went-back' },
    });
    expect(await found()).toEqual({ ...AS_BEFORE, previous: OLD });
  });
});

const WANTED = 'pipeops.io/k3s-wanted';
const STATE = 'pipeops.io/k3s-upgrade';
const ID = '0123456789abcdef';

describe('asked by a server', () => {
  beforeEach(beWorker);

  const ask = (to: string, id = ID) => {
    node.annotations[WANTED] = JSON.stringify({ id, to, drain: true });
  };
  const look = async () => {
    const ran = await machine.run(['upgrade', 'k3s-asked'], {
      clock: scaledClock(SPEED),
      env: INSTALL_ENV,
    });
    await carrying;
    return ran.exitCode;
  };
  const answer = () => JSON.parse(node.annotations[STATE] ?? 'null');

  test('a node upgrades itself once, and says so', async () => {
    expect([await look(), answer()]).toEqual([0, null]);
    ask(NEXT);
    expect([await look(), answer()]).toEqual([0, { id: ID, state: 'done', why: null }]);
    expect(await found()).toEqual(UPGRADED);
    const before = machine.calls.length;
    expect(await look()).toBe(0);
    expect(machine.calls.slice(before).filter(({ argv }) => argv[0] === 'systemctl')).toEqual([]);
  });

  test('what is against the rules is refused with its reason, and nothing is changed', async () => {
    ask('v1.38.0+k3s1');
    expect(await look()).toBe(0);
    expect(answer()).toEqual({
      ...{ id: ID, state: 'failed', why: expect.stringMatching(/\[VERSION_REFUSED\]$/) },
    });
    expect(await found()).toEqual(AS_BEFORE);
  });

  test('one that failed is told, and is begun anew when it is asked for anew', async () => {
    versions.set(NEXT, 'crashes');
    ask(NEXT);
    expect([await look(), answer()]).toMatchObject([0, { state: 'failed' }]);
    versions.clear();
    carrying = undefined;
    ask(NEXT, 'fedcba9876543210');
    expect([await look(), answer().state]).toEqual([0, 'done']);
    expect(await found()).toEqual(UPGRADED);
  });

  test('what ended without an answer is answered at the next look', async () => {
    ask(NEXT);
    node.annotations[STATE] = JSON.stringify({ id: ID, state: 'begun', why: null });
    await machine.put(
      RESULT,
      JSON.stringify({
        ...{ v: 1, id: ID, from: OLD, to: NEXT, role: 'agent', node: 'node-1', snapshot: null },
        ...{ outcome: 'went-back', why: 'it crashed', at: '2026-01-01T00:00:00.000Z', took_ms: 1 },
      }),
    );
    expect(await look()).toBe(0);
    expect(answer()).toEqual({ id: ID, state: 'failed', why: 'it crashed' });
  });

  test.each([
    '{',
    '{"id":"x","to":"v1.37.0+k3s1","drain":true}',
    `{"id":"${ID}","to":"; rm","drain":true}`,
  ])('what is no request is none: %s', async (text) => {
    node.annotations[WANTED] = text;
    expect([await look(), answer()]).toEqual([0, null]);
  });
});

describe('a server leads', () => {
  /** What the other node says, and does as soon as it is asked. */
  let other: { version: string; annotations: Record<string, string> };
  let answers: (id: string) => object | undefined;
  let asked: string[];
  let onLook: () => void;

  beforeEach(async () => {
    await beServer();
    others = [{ name: 'node-2', version: OLD, isServer: false, isReady: true }];
    other = { version: OLD, annotations: {} };
    asked = [];
    onLook = () => undefined;
    answers = (id) => {
      other.version = NEXT;
      return { id, state: 'done', why: null };
    };
    machine.web.set('https://127.0.0.1:6443/api/v1/nodes/node-2', (_, init) => {
      if (init?.method === 'PATCH') {
        const { annotations } = JSON.parse(`${init.body}`).metadata;
        const { id, to } = JSON.parse(annotations[WANTED]);
        asked.push(`${to} while this server has ${running}`);
        const said = answers(id);
        Object.assign(other.annotations, annotations, said && { [STATE]: JSON.stringify(said) });
        others = [{ name: 'node-2', version: other.version, isServer: false, isReady: true }];
      }
      onLook();
      const shown = nodeOf('node-2', other.version, false, true);
      const metadata = { ...shown.metadata, annotations: other.annotations };
      return Response.json({ ...shown, metadata });
    });
  });

  test('itself first, and then the workers', async () => {
    const ran = await upgrade('--to', NEXT);
    const took_ms = expect.any(Number);
    expect(JSON.parse(ran.stdout)).toEqual({
      to: NEXT,
      nodes: [
        { node: 'node-1', role: 'server', from: OLD, took_ms },
        { node: 'node-2', role: 'worker', from: OLD, took_ms },
      ],
      steps: [],
    });
    expect(asked).toEqual([`${NEXT} while this server has ${NEXT}`]);
    expect(await found()).toEqual(UPGRADED);
  });

  test('--this-node leaves the others', async () => {
    expect((await upgrade('--to', NEXT, '--this-node')).exitCode).toBe(0);
    expect([asked, await found()]).toEqual([[], UPGRADED]);
  });

  test('halts at the first failure with what the node said, and a second run asks anew', async () => {
    const good = answers;
    answers = (id) => ({ id, state: 'failed', why: 'its disk is full [DISK_FULL]' });
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({
      code: 'UPGRADE_FAILED',
      message: 'k3s was not upgraded on node-2: it says: its disk is full [DISK_FULL]',
      details: { node: 'node-2' },
    });
    answers = good;
    const again = JSON.parse((await upgrade('--to', NEXT)).stdout);
    expect(again.nodes).toMatchObject([{ node: 'node-2' }]);
    expect(asked).toHaveLength(2);
  });

  test('does not ask twice what a node is at already', async () => {
    other.annotations = {
      [WANTED]: JSON.stringify({ id: ID, to: NEXT, drain: true }),
      [STATE]: JSON.stringify({ id: ID, state: 'begun', why: null }),
    };
    let looks = 0;
    onLook = () => {
      looks += 1;
      if (looks > 1) {
        other.version = NEXT;
        other.annotations[STATE] = JSON.stringify({ id: ID, state: 'done', why: null });
      }
    };
    expect((await upgrade('--to', NEXT)).exitCode).toBe(0);
    expect([looks, asked]).toEqual([2, []]);
  });

  test('tells of a node whose agent does not look', async () => {
    answers = () => undefined;
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({
      message: expect.stringMatching(/^k3s was not upgraded on node-2: its agent has not begun/),
    });
  });

  test('begins nothing where a node is not ready', async () => {
    others = [{ name: 'node-2', version: OLD, isServer: false, isReady: false }];
    expect(errorOf(await upgrade('--to', NEXT))).toMatchObject({ code: 'K3S_NOT_READY' });
    expect(await found()).toEqual(AS_BEFORE);
  });
});
