/**
 * A worker's life: the wrong secret, a revoked token, README's line, an older agent that is upgraded,
 * leaving and coming back under the same name, leaving for good while its pods must go on, and joining
 * from the server itself without internet.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJoinToken } from '../../src/protocol/secrets/join-token.ts';
import { WEB_IMAGE } from '../vm/images.ts';
import type { Machine } from '../vm/machine.ts';
import { compareStates, type MachineState, USER_BACKUPS } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import {
  bootTwo,
  installByOneLine,
  JOIN_TOKEN_FILE,
  joinByOneLine,
  joinByToken,
  openStand,
  readyNodes,
  type Stand,
  TOKEN,
  TOKEN_FILE,
  withoutSudo,
} from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const SETTLE_TIMEOUT_MS = 90_000;
const OLD_VERSION = '0.0.1';
const LINK = '/usr/local/bin/pipeops-agent';
const NODE_PASSWORD = /\/etc\/rancher(\/node(\/password)?)?$/;

const progress = reportProgress('join');
let stand: Stand;
let server: Machine;
let worker: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('join', { older: [OLD_VERSION] });
  [server, worker] = await bootTwo(stand);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

interface NewToken {
  readonly token: string;
  readonly id: string;
  readonly line: string;
  readonly serve: { readonly address: string; readonly unit: string } | null;
}

async function newToken(...flags: readonly string[]): Promise<NewToken> {
  const created = await server.exec(['pipeops-agent', 'token', 'create', ...flags, '--json']);
  return JSON.parse(created.stdout);
}

/** `kubectl get` on the server: whether it is there. */
async function exists(...words: readonly string[]): Promise<boolean> {
  const argv = ['k3s', 'kubectl', 'get', ...words];
  return (await server.exec(argv, { check: false })).exitCode === 0;
}

const hasSecret = (name: string) => exists('secret', name, '--namespace=kube-system');

async function bothReady(): Promise<void> {
  await waitUntil('both nodes are ready', SETTLE_TIMEOUT_MS, async () => {
    return (await readyNodes(server)) === 2;
  });
}

const CANARY = ['pipeops-agent', 'doctor', '--canary', '--json'];
const CANARY_PODS = ['pods', '--namespace=pipeops-system', '--selector=pipeops.io/canary'];

/** What `doctor --canary` says of pods on both machines, by the ids of its checks. */
async function canary(): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await server.exec(CANARY, { check: false });
  const { checks } = JSON.parse(stdout) as {
    readonly checks: readonly {
      readonly id: string;
      readonly state: string;
      readonly finding?: { readonly message: string };
    }[];
  };
  const own = checks.filter(({ id }) => id.startsWith('canary-'));
  return Object.fromEntries(own.map(({ id, state, finding }) => [id, finding?.message ?? state]));
}

/** With a run that is killed before, whose pods the next one takes away. */
async function canaryFindsWhatIsDead(): Promise<void> {
  await server.exec(['sh', '-c', `timeout --signal=KILL 4 ${CANARY.join(' ')}; true`]);
  const well = { 'canary-container': 'ok', 'canary-network': 'ok', 'canary-dns': 'not-checked' };
  expect(await canary()).toEqual(well);
  // As if a firewall dropped what carries packets to pods.
  await worker.exec([
    ...[
      'nft',
      'add table inet shut; add chain inet shut in { type filter hook prerouting priority -300; };',
    ],
    ...['add rule inet shut in iifname "host0" ip daddr 10.42.0.0/16 drop'],
  ]);
  expect(await canary()).toEqual({
    ...well,
    'canary-network':
      'from a pod here pods on worker cannot be reached (no answer in 3.5 s); ' +
      'from this machine pods on worker cannot be reached (no answer in 3.5 s)',
  });
  await worker.exec(['nft', 'delete table inet shut']);
  await waitUntil('the canary is gone', SETTLE_TIMEOUT_MS, async () => {
    const argv = ['k3s', 'kubectl', 'get', ...CANARY_PODS, '--output=name'];
    return (await server.exec(argv)).stdout === '';
  });
}

async function runningVersion(): Promise<string> {
  const { stdout } = await worker.exec(['curl', '-fsS', 'http://127.0.0.1:8080/version']);
  return JSON.parse(stdout).version;
}

const linked = async () => (await worker.exec(['readlink', LINK])).stdout.trim();
const hasK3s = async () =>
  (await worker.exec(['test', '-e', '/usr/local/bin/k3s'], { check: false })).exitCode === 0;

test(
  'a worker joins by one line, is upgraded by one line, leaves, and comes back under its name',
  async () => {
    await stand.equip(server);
    await stand.equip(worker);
    const before = await worker.snapshotState();
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-join'), async () => {
      await progress.phase('install the server', () =>
        installByOneLine(stand, server, ['--token-file', TOKEN_FILE, '--cluster-name', 'e2e']),
      );
      await wrongSecrets();
      await revokedToken();
      await boundToken();
      await cloned();
      const used = await upgradeByOneLine();
      await progress.phase('the canary', canaryFindsWhatIsDead);
      await leaveAndComeBack(before, used);
      await setUpAnew(before);
      await leaveForGood(before);
    });
  },
  TEST_TIMEOUT_MS,
);

/** Each is told by its shape, and the message names the command that takes it. */
async function wrongSecrets(): Promise<void> {
  const controlPlanes = await joinByOneLine(stand, worker, TOKEN, { check: false });
  expect(controlPlanes).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('pipeops-agent install --token-file FILE'),
  });
  const { token } = await newToken();
  await worker.writeFile(JOIN_TOKEN_FILE, token, { mode: 0o600 });
  const toInstall = await installByOneLine(stand, worker, ['--token-file', JOIN_TOKEN_FILE], {
    check: false,
  });
  expect(toInstall).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('pipeops-agent join --token-file FILE'),
  });
  expect(await hasK3s()).toBe(false);
}

async function revokedToken(): Promise<void> {
  const { token, id } = await newToken();
  await server.exec(['pipeops-agent', 'token', 'revoke', id]);
  const refused = await progress.phase('a revoked token is refused', () =>
    joinByOneLine(stand, worker, token, { check: false }),
  );
  expect(refused).toMatchObject({
    exitCode: 5,
    stderr: expect.stringContaining('[JOIN_TOKEN_REJECTED]'),
  });
  expect(await hasK3s()).toBe(false);
}

/** A token for another machine is refused before anything is installed. */
async function boundToken(): Promise<void> {
  const { token } = await newToken('--node-name', 'rack2-*', '--from', '10.0.0.0/8');
  const named = await joinByOneLine(stand, worker, token, {
    check: false,
    env: { K3S_NODE_NAME: 'rack3-1' },
  });
  expect(named).toMatchObject({
    exitCode: 5,
    stderr: expect.stringMatching(/for a node called "rack2-\*".*\[JOIN_TOKEN_REJECTED\]/),
  });
  // The name of a living node is never waited for.
  const taken = await joinByOneLine(stand, worker, (await newToken()).token, {
    check: false,
    env: { K3S_NODE_NAME: 'server' },
  });
  expect(taken).toMatchObject({
    exitCode: 5,
    stderr: expect.stringMatching(
      /"server" is taken: a living machine has it.*\[NODE_NAME_TAKEN\]/,
    ),
  });
  expect(await hasK3s()).toBe(false);
}

/** Two machines with one id get the same hardware address on the pods' network. */
async function cloned(): Promise<void> {
  const idOf = async (machine: Machine) =>
    (await machine.exec(['cat', '/etc/machine-id'])).stdout.trim();
  const own = await idOf(worker);
  const put = (id: string) => worker.writeFile('/etc/machine-id', `${id}\n`, { mode: 0o444 });
  await put(await idOf(server));
  const refused = await joinByOneLine(stand, worker, (await newToken()).token, { check: false });
  await put(own);
  expect(refused).toMatchObject({
    exitCode: 5,
    stderr: expect.stringMatching(/The node "server", at .* \[MACHINE_ID_TAKEN\]/),
  });
  expect(await hasK3s()).toBe(false);
}

/** It ends with its node, and so does what limits it. */
async function usedUp({ id }: NewToken): Promise<void> {
  await progress.phase('the token ends', () =>
    waitUntil('the token is gone', SETTLE_TIMEOUT_MS, async () => {
      return !(await hasSecret(`bootstrap-token-${id}`));
    }),
  );
  await waitUntil('its limits are gone', SETTLE_TIMEOUT_MS, async () => {
    return !(await exists('role', `pipeops-agent-join-${id}`, '--namespace=kube-system'));
  });
}

/** A machine that comes later is refused before anything is installed. */
async function refusedAgain({ token }: NewToken): Promise<void> {
  await waitUntil('the API server has forgotten the token', SETTLE_TIMEOUT_MS, () =>
    isForgotten(token),
  );
  const again = await joinByOneLine(stand, worker, token, { check: false });
  expect(again).toMatchObject({
    exitCode: 5,
    stderr: expect.stringContaining('[JOIN_TOKEN_REJECTED]'),
  });
  expect(await hasK3s()).toBe(false);
}

/** A token that it has let in it lets in for 10 s more (k8s.io/kubernetes, "TokenSuccessCacheTTL"). */
async function isForgotten(token: string): Promise<boolean> {
  const secret = decodeJoinToken(token).token.split('::').at(-1);
  const { stdout } = await server.exec([
    ...['curl', '-sk', '-o', '/dev/null', '-w', '%{http_code}'],
    ...['-H', `Authorization: Bearer ${secret}`, 'https://127.0.0.1:6443/api/v1/nodes'],
  ]);
  return stdout === '401';
}

/** @returns the token that was used */
async function upgradeByOneLine(): Promise<NewToken> {
  const created = await newToken();
  const { token } = created;
  // The refused runs have left the newest program; this is a machine of an earlier day.
  await worker.exec(['rm', '-rf', LINK, '/opt/pipeops-agent']);
  await progress.phase('join with an older version', () =>
    joinByOneLine(stand, worker, token, { env: { PIPEOPS_VERSION: OLD_VERSION } }),
  );
  await bothReady();
  await usedUp(created);
  expect(await runningVersion()).toBe(OLD_VERSION);
  await worker.exec(['mkdir', '-p', '/opt/pipeops-agent/0.0.0-a', '/opt/pipeops-agent/0.0.0-b']);
  const ran = await progress.phase('the one line on it', () =>
    installByOneLine(stand, worker, ['--token-file', TOKEN_FILE, '--cluster-name', 'e2e']),
  );
  expect(ran.stderr).toContain('This machine is a worker and stays one');
  const { version } = stand.releases.release;
  expect([await runningVersion(), await linked()]).toEqual([
    version,
    `/opt/pipeops-agent/${version}/pipeops-agent`,
  ]);
  expect((await worker.exec(['ls', '/opt/pipeops-agent'])).stdout.trim().split('\n')).toEqual(
    [OLD_VERSION, version].sort(),
  );
  await bothReady();
  return created;
}

async function leaveAndComeBack(before: MachineState, used: NewToken): Promise<void> {
  const left = await progress.phase('leave', () => uninstallWorker());
  expect(left.stderr).toContain('sudo k3s kubectl delete node worker');
  expect(
    compareStates(before, await worker.snapshotState(), [USER_BACKUPS, NODE_PASSWORD]),
  ).toEqual([]);
  await refusedAgain(used);
  await progress.phase('come back', () => joinByToken(stand, server, worker));
  await bothReady();
}

/** A machine whose password is gone is told so, and comes back once its old node is taken out. */
async function setUpAnew(before: MachineState): Promise<void> {
  await progress.phase('leave without a trace', () => uninstallWorker('--delete-data'));
  expect(compareStates(before, await worker.snapshotState(), [USER_BACKUPS])).toEqual([]);
  const { token } = await newToken();
  const refused = await progress.phase('refused for its name', () =>
    joinByOneLine(stand, worker, token, { check: false }),
  );
  expect(refused).toMatchObject({
    exitCode: 5,
    stderr: expect.stringContaining('[NODE_NAME_TAKEN]'),
  });
  await server.exec(['k3s', 'kubectl', 'delete', 'node', 'worker']);
  await progress.phase('come back after that', () => joinByOneLine(stand, worker, token));
  await bothReady();
}

async function uninstallWorker(...flags: readonly string[]) {
  const ran = await worker.exec(['pipeops-agent', 'uninstall', '--yes', ...flags], {
    timeoutMs: TEST_TIMEOUT_MS,
  });
  await waitUntil('its processes have ended', SETTLE_TIMEOUT_MS, hasEnded);
  return ran;
}

async function hasEnded(): Promise<boolean> {
  const { stdout } = await worker.exec(['pgrep', '-fc', '[k]3s|[c]ontainerd-shim'], {
    check: false,
  });
  return stdout.trim() === '0';
}

const kubectl = (args: readonly string[], stdin?: string) =>
  server.exec(['k3s', 'kubectl', ...args], stdin === undefined ? {} : { stdin });

/** Two pods of which one must always be there, both on the worker at first. */
async function runWeb(): Promise<void> {
  const labels = { app: 'web' };
  const command = ['sh', '-c', "trap 'exit 0' TERM; while true; do sleep 1; done"];
  const container = { name: 'web', image: WEB_IMAGE, imagePullPolicy: 'Never', command };
  const items = [
    {
      ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' } },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [container] } },
      },
    },
    {
      ...{ apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'web' } },
      spec: { minAvailable: 2, selector: { matchLabels: labels } },
    },
  ];
  await kubectl(['cordon', 'server']);
  await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await kubectl(['rollout', 'status', 'deployment/web', '--timeout=90s']);
  await kubectl(['uncordon', 'server']);
}

async function leaveForGood(before: MachineState): Promise<void> {
  await progress.phase('an application on the worker', runWeb);
  const refused = await progress.phase('a budget holds it back', () =>
    worker.exec(['pipeops-agent', 'leave', '--yes', '--timeout', '5s'], { check: false }),
  );
  expect(refused).toMatchObject({
    exitCode: 8,
    stderr: expect.stringMatching(/The disruption budget web needs 2.*\[DRAIN_INCOMPLETE\]/s),
  });
  await bothReady();
  const budget = JSON.stringify({ spec: { minAvailable: 1 } });
  await kubectl(['patch', 'pdb', 'web', '--type=merge', `--patch=${budget}`]);
  const left = await progress.phase('leave', () =>
    worker.exec(['pipeops-agent', 'leave', '--yes', '--json'], { timeoutMs: TEST_TIMEOUT_MS }),
  );
  const outcome = JSON.parse(left.stdout);
  expect(outcome).toMatchObject({ node: 'worker', taken_out: true, deleted: [], kept: [] });
  expect(outcome.evicted.filter((pod: string) => pod.startsWith('default/web-'))).toHaveLength(2);
  expect([await exists('node', 'worker'), await hasSecret('worker.node-password.k3s')]).toEqual([
    false,
    false,
  ]);
  await kubectl(['rollout', 'status', 'deployment/web', '--timeout=90s']);
  await waitUntil('its processes have ended', SETTLE_TIMEOUT_MS, hasEnded);
  expect(compareStates(before, await worker.snapshotState(), [USER_BACKUPS])).toEqual([]);
  await progress.phase('come back at once, without internet', joinFromServer);
}

/** The machine reaches nothing but the server: program, k3s and its installer come from there. */
async function joinFromServer(): Promise<void> {
  const { line, serve } = await newToken('--serve');
  const internet = `${stand.lab.hostAddress}/32`;
  await worker.exec(['ip', 'route', 'add', 'unreachable', internet]);
  const probe = ['curl', '-sSk', '--max-time', '5', stand.releases.url];
  expect((await worker.exec(probe, { check: false })).stderr).toContain('Failed to connect');
  const joined = await worker.exec(['sh', '-c', withoutSudo(line)], { timeoutMs: TEST_TIMEOUT_MS });
  expect(joined.stderr).toContain('Downloading pipeops-agent');
  await bothReady();
  const stranger = [
    'curl',
    '-sk',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    `${serve?.address}/latest`,
  ];
  expect((await worker.exec(stranger, { check: false })).stdout).toMatch(/^(404|000)$/);
  const config = await worker.exec(['cat', '/etc/pipeops-agent/config.yaml']);
  expect(config.stdout).not.toContain(serve?.address ?? '');
  await waitUntil('the offer has ended with its token', SETTLE_TIMEOUT_MS, async () => {
    const state = await server.exec(['systemctl', 'is-active', serve?.unit ?? ''], {
      check: false,
    });
    return state.exitCode !== 0;
  });
  await worker.exec(['ip', 'route', 'del', 'unreachable', internet]);
}
