/** The agent is not well while its node, or what its node hangs on, is not; and says which. */

import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sessionState } from '../../src/control-plane/session/state.ts';
import { AgentError } from '../../src/core/errors.ts';
import { placesOf } from '../../src/core/places.ts';
import { BUILD } from '../../src/core/version.ts';
import { reasonsAndWarnings } from '../../src/daemon/health-answers.ts';
import { type HealthParts, serverHealth, workerHealth } from '../../src/daemon/health-parts.ts';
import { LOOK_INTERVAL_MS, statusText, unitStatus } from '../../src/daemon/unit-status.ts';
import { noteReadyOnce } from '../../src/daemon/was-ready.ts';
import { sharedFollowing } from '../../src/kubernetes/watch/shared-following.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import { thisMachine } from '../../src/platform/this-machine.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { clientOf } from '../support/fake-kubernetes-client.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { makeCertificates } from '../support/tls.ts';
import { until } from '../support/until.ts';

const never = new AbortController().signal;
const SINCE = '2026-01-01T10:00:00Z';
const STOPPED = {
  type: 'Ready',
  status: 'Unknown',
  lastTransitionTime: SINCE,
  message: 'Kubelet stopped posting node status.',
};

let directory: TempDirectory;
let kubernetes: FakeKubernetes;
let stop: AbortController;
const running: Promise<unknown>[] = [];

beforeEach(async () => {
  directory = await tempDirectory();
  kubernetes = await startFakeKubernetes();
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await Promise.all(running.splice(0));
  await kubernetes[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

const put = (name: string, condition: object, labels: Record<string, string> = {}) =>
  kubernetes.put(`/api/v1/nodes/${name}`, {
    metadata: { labels },
    status: { conditions: [condition] },
  });
const READY = { type: 'Ready', status: 'True' };
const CONTROL_PLANE = { 'node-role.kubernetes.io/control-plane': 'true' };

/** What every agent has, with nothing wrong. */
const common = () => ({
  log: memoryLog(),
  files: systemFiles(directory.path),
  places: placesOf(),
  unknownSettings: [],
  findings: () => [],
  certificates: () => [],
  k3sUnit: 'k3s',
});

async function server() {
  const deps = { clock: systemClock, random: seededRandom(1), log: memoryLog() };
  const parts = serverHealth(
    {
      ...deps,
      ...common(),
      machine: thisMachine,
      kubernetes: clientOf(kubernetes),
      follow: sharedFollowing({ ...deps, client: clientOf(kubernetes) }),
      state: sessionState(deps, 'standalone'),
      policyProblem: () => undefined,
      journalTrouble: () => undefined,
      memoryTrouble: () => undefined,
      sharing: () => [],
      desired: () => undefined,
    },
    'Own',
  );
  for (const service of parts.services) {
    running.push((await service.start(stop.signal)).done);
  }
  return parts;
}

/** What `/ready` and `status` say. */
async function told({ health }: Pick<HealthParts, 'health'>) {
  const state = await health.look(never);
  return { ready: state.ready, ...reasonsAndWarnings(state) };
}

const WELL = { ready: true, reasons: [], warnings: [] };

test('a server is ready with its node, and warns of another one that is not', async () => {
  put('own', READY, CONTROL_PLANE);
  put('worker-1', READY);
  put('worker-2', STOPPED);
  const health = await server();
  expect(await told(health)).toEqual({
    ready: true,
    reasons: [],
    warnings: [
      {
        code: 'NODE_NOT_READY',
        message: `Node "worker-2" is not ready since ${SINCE}: Kubelet stopped posting node status.`,
        hint: 'On that machine: systemctl status k3s-agent',
      },
    ],
  });
  const { nodes } = await health.view();
  expect({ ...nodes, list: nodes?.list.slice(0, 1) }).toEqual({
    total: 4,
    ready: 3,
    list: [
      {
        name: 'worker-2',
        role: 'worker',
        ready: false,
        since: SINCE,
        reason: 'Kubelet stopped posting node status.',
        self: false,
      },
    ],
  });
  expect(nodes?.list.filter(({ self }) => self)).toEqual([
    { name: 'own', role: 'server', ready: true, since: null, reason: null, self: true },
  ]);
});

test('every node that is not ready is named, and this machine, however many they are', async () => {
  put('own', READY, CONTROL_PLANE);
  for (let number = 1; number <= 150; number += 1) {
    put(`down-${number}`, STOPPED);
    put(`up-${number}`, READY);
  }
  const health = await server();
  await told(health);
  const { nodes } = await health.view();
  const ready = nodes?.list.filter((node) => node.ready) ?? [];
  const down = nodes?.list.filter((node) => !node.ready) ?? [];
  expect([nodes?.total, nodes?.ready, down.length, ready.length, ready[0]?.name]).toEqual([
    ...[302, 152, 150, 10, 'own'],
  ]);
});

test('a server whose own node is not ready is not ready, and is again when it is', async () => {
  put('own', STOPPED, CONTROL_PLANE);
  const health = await server();
  expect(await told(health)).toEqual({
    ready: false,
    warnings: [],
    reasons: [
      {
        code: 'K3S_NOT_READY',
        message: `The node of this machine, "own", is not ready since ${SINCE}: Kubelet stopped posting node status.`,
        hint: 'Look at: sudo journalctl -u k3s',
      },
    ],
  });
  const asks = () => kubernetes.requests.filter((each) => each === 'GET /api/v1/nodes');
  await until('it follows the nodes', () => asks().length > 1);
  put('own', READY);
  await until('its node is ready', async () => (await told(health)).ready);
});

test('what a node is short of is read from its conditions', async () => {
  kubernetes.put('/api/v1/nodes/own', {
    status: {
      conditions: [
        READY,
        { type: 'DiskPressure', status: 'True' },
        { type: 'MemoryPressure', status: 'False' },
        { type: 'PIDPressure', status: 'Unknown' },
      ],
    },
  });
  const parts = await server();
  await told(parts);
  const own = parts.nodes.current()?.find(({ name }) => name === 'own');
  expect(own?.shortOf).toEqual(['disk']);
});

test('a server that is no node of its cluster is not ready', async () => {
  const { ready, reasons } = await told(await server());
  expect({ ready, codes: reasons.map(({ code }) => code) }).toEqual({
    ready: false,
    codes: ['K3S_NOT_READY'],
  });
});

test('what was known of the nodes counts for nothing while Kubernetes does not answer', async () => {
  put('own', STOPPED, CONTROL_PLANE);
  const health = await server();
  expect((await told(health)).reasons.map(({ code }) => code)).toEqual(['K3S_NOT_READY']);
  await kubernetes[Symbol.asyncDispose]();
  await until('only Kubernetes is told', async () => {
    const { reasons } = await told(health);
    return reasons.map(({ code }) => code).join() === 'KUBERNETES_API';
  });
});

/** A worker whose kubelet is well, with a server that answers as told. */
async function worker(
  answer: (() => Response) | undefined,
  kubelet = 'http://127.0.0.1:10248/healthz',
) {
  const { ca, cert, key } = await makeCertificates(['127.0.0.1']);
  const api = Bun.serve({ port: 0, tls: { cert, key }, fetch: () => (answer ?? Response.error)() });
  const url = `https://127.0.0.1:${api.port}`;
  if (answer === undefined) {
    await api.stop(true);
  }
  await Bun.write(join(directory.path, 'server.json'), JSON.stringify({ v: 1, url, ca }));
  const http: typeof systemHttp = async (address, init) =>
    address === kubelet ? new Response('ok') : systemHttp(address, init);
  const clock = manualClock();
  const deps = { clock, ...common(), http };
  return { url, api, health: workerHealth(deps, '/server.json') };
}

test('a worker is ready while its server answers, also where that asks who is there', async () => {
  const { url, api, health } = await worker(() => new Response('', { status: 401 }));
  expect(await told(health)).toEqual(WELL);
  expect(await health.view()).toEqual({ server: { url, trouble: null } });
  await api.stop(true);
});

test('the kubelet of a node of IPv6 tells its health on the loopback of IPv6', async () => {
  const answer = () => new Response('');
  const { api, health } = await worker(answer, 'http://[::1]:10248/healthz');
  expect(await told(health)).toEqual(WELL);
  await api.stop(true);
});

test.each([
  ['is down', undefined, 'it refuses connections'],
  ['still starts', () => new Response('', { status: 503 }), 'it answers 503; it may still start'],
])(
  'a worker whose server %s is not ready, although its kubelet is well',
  async (_, answer, why) => {
    const { url, api, health } = await worker(answer);
    expect(await told(health)).toEqual({
      ready: false,
      warnings: [],
      reasons: [
        {
          code: 'SERVER_UNREACHABLE',
          message: `The server of the cluster, ${url}, does not answer: ${why}`,
          hint: 'On the server: systemctl status k3s; between the machines: port 6443 must be open',
        },
      ],
    });
    expect(await health.view()).toEqual({ server: { url, trouble: why } });
    await api.stop(true);
  },
);

test('a worker that was not told its server says so, and goes by its kubelet', async () => {
  const { api, health } = await worker(() => new Response(''));
  await Bun.write(join(directory.path, 'server.json'), '{"v":2}');
  expect(await health.view()).toEqual({ server: null });
  expect(await told(health)).toEqual(WELL);
  await api.stop(true);
});

test.each([
  ['the directory of versions', '/opt/pipeops-agent/9.9.9/pipeops-agent', true],
  ['somewhere else', '/home/me/build/pipeops-agent', false],
])('a program whose link leads to %s', async (_, target, isWarning) => {
  const { executableLink } = placesOf();
  await mkdir(join(directory.path, dirname(executableLink)), { recursive: true });
  await symlink(target, join(directory.path, executableLink));
  const clock = manualClock();
  const http = async () => new Response('ok');
  const { health } = workerHealth({ clock, ...common(), http }, '/server.json');
  await health.look(never);
  clock.advance(11 * 60_000);
  const { ready, problems } = await health.look(never);
  const message = `Version 9.9.9 is installed, but version ${BUILD.version} still runs`;
  expect([ready, ...problems.map((each) => each.message)]).toEqual([
    ...[true, ...(isWarning ? [message] : [])],
  ]);
});

test('systemd is told how the agent is when that changes, and not more often', async () => {
  const clock = manualClock();
  const told: string[] = [];
  const since = clock.now();
  const problem = { warnable: 'session', severity: 'blocks', code: 'A', since } as const;
  let problems = [{ ...problem, message: 'next try in 9 s' }];
  const notedAt: number[] = [];
  let standby: string | undefined;
  const service = unitStatus({
    clock,
    notify: (state) => void told.push(state),
    noteReady: async () => void notedAt.push(told.length),
    health: { look: async () => ({ ready: problems.length === 0, problems }) },
    standby: () => standby,
  });
  running.push((await service.start(stop.signal)).done);
  const look = async () => {
    await clock.whenSleeping(1);
    clock.advance(LOOK_INTERVAL_MS);
    await clock.whenSleeping(1);
  };
  await look();
  problems = [{ ...problem, message: 'next try in 4 s' }];
  await look();
  await look();
  problems = [];
  await look();
  await look();
  standby = 'stands by; server-2 has the session';
  await look();
  expect(told).toEqual([
    'STATUS=not ready; next try in 9 s [A]',
    'STATUS=ready',
    'STATUS=ready; stands by; server-2 has the session',
  ]);
  expect(notedAt).toEqual([1, 2, 2]);
});

test('that it was ready is noted once, as soon as the disk takes it', async () => {
  const path = '/was-ready';
  const files = systemFiles(directory.path);
  const written: string[] = [];
  let isFull = true;
  const note = noteReadyOnce(
    {
      files: {
        ...files,
        writeAtomic: async (at, data, options) => {
          if (isFull) {
            throw new AgentError('DISK_FULL', 'no room', { hint: 'Free some space' });
          }
          written.push(at);
          return files.writeAtomic(at, data, options);
        },
      },
    },
    path,
  );
  await note();
  expect(await files.stat(path)).toBeUndefined();
  isFull = false;
  await note();
  await files.remove(path);
  await note();
  expect({ written, isThere: (await files.stat(path)) !== undefined }).toEqual({
    ...{ written: [path], isThere: false },
  });
});

test('a status is one short line, whatever the reasons are made of', () => {
  const problem = { warnable: 'session', code: 'X', since: new Date(0) };
  const message = 'a\r\nREADY=1\u0000\u001b[31m\u2028b\u{1f600}';
  const wrong = [{ ...problem, severity: 'blocks', message }] as const;
  const text = statusText({ ready: false, problems: wrong });
  expect(text).toBe('not ready; a READY=1 [31m b [X]');
  const odd = [{ ...problem, severity: 'warns', message: 'y'.repeat(999) }] as const;
  const long = statusText({ ready: true, problems: odd });
  expect(long).toHaveLength(200);
  expect(long).toStartWith('ready; yyy');
});
