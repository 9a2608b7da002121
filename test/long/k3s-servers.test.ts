/** Several servers of the k3s for tests: SQLite and etcd, joining, losing and restoring. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { voters } from '../vm/etcd-voters.ts';
import { installK3s, waitForNode } from '../vm/k3s-install.ts';
import { type K3sMirror, startK3sMirror } from '../vm/k3s-mirror.ts';
import { type Lab, openLab } from '../vm/lab.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';

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
      const saved = await progress.phase('a snapshot is restored', restoreSnapshot);
      await progress.phase('… on a new machine, too', () => restoreElsewhere(saved));
      await progress.phase('snapshots by the clock', saveByTheClock);
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

const RESET = ['k3s', 'server', '--cluster-reset'];
const resetTo = (saved: string) => [...RESET, `--cluster-reset-restore-path=${saved}`];

/** A server of the cluster by then, the machine needs no other one. */
async function serveAlone(machine: Machine): Promise<void> {
  const config = JSON.stringify({ 'token-file': TOKEN_FILE, 'node-ip': machine.address });
  await machine.writeFile(`${CONFIG}/50-test.yaml`, config, { mode: 0o600 });
}

/** @returns where the snapshot is, on the second server */
async function restoreSnapshot(): Promise<string> {
  await second.exec(['k3s', 'etcd-snapshot', 'save', '--name', 'kept', '--snapshot-compress']);
  const listed = await second.exec(['k3s', 'etcd-snapshot', 'ls', '-o', 'json']);
  const [snapshot] = JSON.parse(listed.stdout) as readonly { readonly name: string }[];
  expect(snapshot?.name).toMatch(/^kept-second-\d+\.zip$/);
  await keep(second, 'after-snapshot');
  await Promise.all([second, third].map((server) => server.exec(['systemctl', 'stop', 'k3s'])));

  const saved = `${DATA}/db/snapshots/${snapshot?.name}`;
  const refused = await second.exec(resetTo(saved), { check: false });
  expect(refused.stderr).toContain('cannot perform cluster-reset while server URL is set');
  await serveAlone(second);
  const { stderr } = await second.exec(resetTo(saved), { timeoutMs: RESTORE_TIMEOUT_MS });
  expect(stderr).toContain('Managed etcd cluster membership has been reset');
  const again = await second.exec(RESET, { check: false });
  expect(again.stderr).toContain('must first manually delete the');
  await second.exec(['systemctl', 'start', 'k3s'], { timeoutMs: CLUSTER_TIMEOUT_MS });
  expect(await isKept(second, 'after-loss')).toBe(true);
  expect(await isKept(second, 'after-snapshot')).toBe(false);

  await third.exec(['rm', '-r', `${DATA}/db`]);
  await third.exec(['systemctl', 'start', 'k3s'], { timeoutMs: CLUSTER_TIMEOUT_MS });
  await waitForVoters(second, ['second', 'third']);
  return saved;
}

/** All that it has of the cluster is the snapshot and the token. */
async function restoreElsewhere(saved: string): Promise<void> {
  await third.exec(['systemctl', 'stop', 'k3s']);
  await third.exec(['rm', '-r', DATA]);
  await third.copyIn(second.pathOnHost(saved), saved, { mode: 0o600 });
  await serveAlone(third);
  const refused = await third.exec([...resetTo(saved), '--token=another'], { check: false });
  expect(refused.stderr).toContain('encrypted with different token');
  await third.exec(resetTo(saved), { timeoutMs: RESTORE_TIMEOUT_MS });
  await third.exec(['systemctl', 'start', 'k3s'], { timeoutMs: CLUSTER_TIMEOUT_MS });
  const authority = `${DATA}/tls/server-ca.crt`;
  expect(await third.readFile(authority)).toBe(await second.readFile(authority));
  expect(await isKept(third, 'after-loss')).toBe(true);
  expect(await isKept(third, 'after-snapshot')).toBe(false);
  expect(await voters(third)).toEqual(['third']);
}

/** As many as are to be kept, of which the oldest goes for each new one; others stay. */
async function saveByTheClock(): Promise<void> {
  const save = ['k3s', 'etcd-snapshot', 'save', '--name', 'by-hand'];
  await third.exec(save);
  const config = {
    'etcd-snapshot-schedule-cron': '@every 2s',
    'etcd-snapshot-retention': 2,
    'etcd-snapshot-name': 'timed',
  };
  const file = '/etc/rancher/k3s/config.yaml.d/70-snapshots.yaml';
  await third.writeFile(file, JSON.stringify(config), { mode: 0o600 });
  await third.exec(['systemctl', 'restart', 'k3s'], { timeoutMs: CLUSTER_TIMEOUT_MS });
  const names = async () => {
    const { stdout } = await third.exec(['k3s', 'etcd-snapshot', 'ls', '-o', 'json']);
    return (JSON.parse(stdout) as readonly { readonly name: string }[]).map(({ name }) => name);
  };
  const timed = async () => (await names()).filter((name) => /^timed-third-\d+$/.test(name));
  const [oldest = ''] = await waitUntil('snapshots are saved', CLUSTER_TIMEOUT_MS, async () => {
    const found = await timed();
    return found.length === 0 ? undefined : found;
  });
  await waitUntil('the oldest one has gone', CLUSTER_TIMEOUT_MS, async () => {
    return !(await timed()).includes(oldest);
  });
  expect((await timed()).length).toBeLessThanOrEqual(config['etcd-snapshot-retention'] + 1);
  expect((await names()).filter((name) => name.startsWith('by-hand-third-'))).toHaveLength(1);
}
