/** Several servers of the k3s for tests: SQLite and etcd, joining, losing and restoring. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installK3s, waitForNode } from './k3s-install.ts';
import { type K3sMirror, startK3sMirror } from './k3s-mirror.ts';
import { type Lab, openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import { prepareTestMachines } from './prepare.ts';
import { reportProgress } from './progress.ts';
import { waitUntil } from './wait-until.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 600_000;
const CLUSTER_TIMEOUT_MS = 120_000;
const RESTORE_TIMEOUT_MS = 120_000;

const DATA = '/var/lib/rancher/k3s/server';
const CONFIG = '/etc/rancher/k3s/config.yaml.d';
const TOKEN_FILE = '/etc/example-token';

const progress = reportProgress('k3s-servers.test');
let lab: Lab;
let mirror: K3sMirror;
let first: Machine;
let second: Machine;
let third: Machine;
let worker: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  lab = await openLab({ name: 'k3s-servers' });
  mirror = await startK3sMirror({ hostname: lab.hostAddress });
  const boot = (name: string) => lab.boot({ name, base: 'kubernetes', images: true });
  [first, second, third, worker] = await progress.phase('boot', () =>
    Promise.all([boot('first'), boot('second'), boot('third'), boot('worker')]),
  );
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await lab?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

async function kubectl(server: Machine, ...args: string[]): Promise<string> {
  const { stdout } = await server.exec(['k3s', 'kubectl', '--request-timeout=10s', ...args]);
  return stdout.trim();
}

async function keep(server: Machine, name: string): Promise<void> {
  await kubectl(server, 'create', 'configmap', name);
}

async function isKept(server: Machine, name: string): Promise<boolean> {
  const args = ['k3s', 'kubectl', '--request-timeout=10s', 'get', 'configmap', name];
  return (await server.exec(args, { check: false })).exitCode === 0;
}

/** Joins through a server, with the whole token of the first one. */
async function joinThrough(server: Machine, machine: Machine, role: 'server' | 'agent') {
  const token = await server.readFile(`${DATA}/token`);
  await machine.writeFile(TOKEN_FILE, token, { mode: 0o600 });
  const config = {
    server: `https://${server.address}:6443`,
    'token-file': TOKEN_FILE,
    'node-ip': machine.address,
  };
  await installK3s(machine, mirror, { role, config });
}

/** The nodes whose etcd members vote, as etcd itself says, asked on one of them. */
async function voters(server: Machine): Promise<readonly string[]> {
  const tls = `${DATA}/tls/etcd`;
  const { stdout } = await server.exec(
    [
      ...['curl', '-fsS', '-m', '10', '-X', 'POST', '-d', '{}', '--cacert', `${tls}/server-ca.crt`],
      ...['--cert', `${tls}/client.crt`, '--key', `${tls}/client.key`],
      'https://127.0.0.1:2382/v3/cluster/member/list',
    ],
    { check: false },
  );
  const { members } = JSON.parse(stdout === '' ? '{"members":[]}' : stdout) as {
    readonly members: readonly { readonly name?: string; readonly isLearner?: boolean }[];
  };
  return members
    .filter(({ isLearner }) => isLearner !== true)
    .map(({ name }) => (name ?? '').replace(/-[0-9a-f]{8}$/, ''))
    .sort();
}

async function waitForVoters(server: Machine, names: readonly string[]): Promise<void> {
  await waitUntil(`etcd has the members ${names}`, CLUSTER_TIMEOUT_MS, async () =>
    Bun.deepEquals(await voters(server), names),
  );
}

test(
  'servers join once the data are in etcd, one may be lost, and a snapshot brings the data back',
  async () => {
    await lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-k3s-servers-test'), async () => {
      await progress.phase('SQLite: no second server', refuseSecondServer);
      await progress.phase('from SQLite to etcd', moveToEtcd);
      await progress.phase('three servers and a worker', joinAll);
      await progress.phase('a server is deleted and joins anew', deleteThird);
      await progress.phase('a server is lost', loseFirst);
      await progress.phase('a snapshot is restored', restoreSnapshot);
    });
  },
  TEST_TIMEOUT_MS,
);

async function refuseSecondServer(): Promise<void> {
  await installK3s(first, mirror, { role: 'server', config: { 'node-ip': first.address } });
  await waitForNode(first, 'first');
  await keep(first, 'made-in-sqlite');
  await first.exec(['test', '-f', `${DATA}/db/state.db`]);
  await expect(joinThrough(first, second, 'server')).rejects.toThrow(/control process exited/);
  const journal = await second.journal({ unit: 'k3s' });
  expect(journal).toMatch(/level=fatal .*starting kubernetes: preparing server: etcd disabled/);
}

async function moveToEtcd(): Promise<void> {
  await first.writeFile(`${CONFIG}/60-etcd.yaml`, 'cluster-init: true\n', { mode: 0o600 });
  await first.exec(['systemctl', 'restart', 'k3s'], { timeoutMs: CLUSTER_TIMEOUT_MS });
  expect(await isKept(first, 'made-in-sqlite')).toBe(true);
  await first.exec(['test', '-f', `${DATA}/db/state.db.migrated`]);
  await first.exec(['test', '!', '-e', `${DATA}/db/state.db`]);
}

async function joinAll(): Promise<void> {
  await waitForNode(first, 'second'); // systemd has tried again, and again
  await Promise.all([joinThrough(second, third, 'server'), joinThrough(first, worker, 'agent')]);
  await Promise.all([waitForNode(first, 'third'), waitForNode(first, 'worker')]);
  await waitForVoters(third, ['first', 'second', 'third']);
  expect(await isKept(third, 'made-in-sqlite')).toBe(true);
}

async function deleteThird(): Promise<void> {
  const before = await kubectl(first, 'get', 'node', 'third', '-o', 'jsonpath={.metadata.uid}');
  await kubectl(first, 'delete', 'node', 'third');
  await waitUntil('the node is a new one', CLUSTER_TIMEOUT_MS, async () => {
    const args = ['get', 'node', 'third', '--ignore-not-found', '-o', 'jsonpath={.metadata.uid}'];
    const now = await kubectl(first, ...args);
    return now !== '' && now !== before;
  });
  expect(await third.journal({ unit: 'k3s', lines: 5_000 })).toContain('tombstone file has been');
  await waitForNode(first, 'third');
  await waitForVoters(first, ['first', 'second', 'third']);
}

async function loseFirst(): Promise<void> {
  await first.kill();
  await waitUntil('the API takes changes', CLUSTER_TIMEOUT_MS, async () => {
    await second.exec(['k3s', 'kubectl', 'create', 'configmap', 'after-loss'], { check: false });
    return await isKept(third, 'after-loss');
  });
  // The worker joined through the first server; the others have not heard of it since.
  const args = ['get', 'lease', 'worker', '-n', 'kube-node-lease', '-o'];
  const renewed = async () => await kubectl(second, ...args, 'jsonpath={.spec.renewTime}');
  const before = await renewed();
  await waitUntil(
    'the worker is heard',
    CLUSTER_TIMEOUT_MS,
    async () => (await renewed()) > before,
  );
  await kubectl(second, 'delete', 'node', 'first');
  await waitForVoters(second, ['second', 'third']);
}

async function restoreSnapshot(): Promise<void> {
  await second.exec(['k3s', 'etcd-snapshot', 'save', '--name', 'kept', '--snapshot-compress']);
  const listed = await second.exec(['k3s', 'etcd-snapshot', 'ls', '-o', 'json']);
  const [snapshot] = JSON.parse(listed.stdout) as readonly { readonly name: string }[];
  expect(snapshot?.name).toMatch(/^kept-second-\d+\.zip$/);
  await keep(second, 'after-snapshot');
  await Promise.all([second, third].map((server) => server.exec(['systemctl', 'stop', 'k3s'])));

  const saved = `${DATA}/db/snapshots/${snapshot?.name}`;
  const reset = ['k3s', 'server', '--cluster-reset', `--cluster-reset-restore-path=${saved}`];
  const refused = await second.exec(reset, { check: false });
  expect(refused.stderr).toContain('cannot perform cluster-reset while server URL is set');
  // A server of the cluster by now, it needs no other one.
  const alone = JSON.stringify({ 'token-file': TOKEN_FILE, 'node-ip': second.address });
  await second.writeFile(`${CONFIG}/50-test.yaml`, alone, { mode: 0o600 });
  const { stderr } = await second.exec(reset, { timeoutMs: RESTORE_TIMEOUT_MS });
  expect(stderr).toContain('Managed etcd cluster membership has been reset');
  const again = await second.exec(['k3s', 'server', '--cluster-reset'], { check: false });
  expect(again.stderr).toContain('must first manually delete the');
  await second.exec(['systemctl', 'start', 'k3s'], { timeoutMs: CLUSTER_TIMEOUT_MS });
  expect(await isKept(second, 'after-loss')).toBe(true);
  expect(await isKept(second, 'after-snapshot')).toBe(false);

  await third.exec(['rm', '-r', `${DATA}/db`]);
  await third.exec(['systemctl', 'start', 'k3s'], { timeoutMs: CLUSTER_TIMEOUT_MS });
  await waitForVoters(second, ['second', 'third']);
}
