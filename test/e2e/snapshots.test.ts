/** Snapshots of real clusters, with SQLite and with etcd, restored in place and on machines without data. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { installByOneLine, openStand, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 1_200_000;
const RUN_TIMEOUT_MS = 300_000;
/** What is promised for 100 MB. */
const SNAPSHOT_SECONDS_MAX = 5;
/** Of one object, which Kubernetes takes at once. */
const FILLER_BYTES = 900_000;
const FILLERS = 110;

const progress = reportProgress('snapshots');
let stand: Stand;
let server: Machine;
let empty: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('snapshots');
  const boot = (name: string) => stand.lab.boot({ name, base: 'kubernetes', images: true });
  [server, empty] = await Promise.all([boot('server'), boot('empty')]);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await stand?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

const agent = (machine: Machine, ...words: readonly string[]) =>
  machine.exec(['pipeops-agent', ...words], { timeoutMs: RUN_TIMEOUT_MS });
const refused = async (machine: Machine, ...words: readonly string[]) => {
  const argv = ['pipeops-agent', ...words, '--json'] as const;
  const { exitCode, stdout } = await machine.exec(argv, {
    check: false,
    timeoutMs: RUN_TIMEOUT_MS,
  });
  return { exitCode, ...(JSON.parse(stdout) as { error: { code: string } }).error };
};
const document = async (machine: Machine, ...words: readonly string[]) =>
  JSON.parse((await agent(machine, ...words, '--json')).stdout);
const kubectl = async (machine: Machine, ...args: readonly string[]) =>
  (await machine.exec(['k3s', 'kubectl', ...args], { timeoutMs: RUN_TIMEOUT_MS })).stdout.trim();

/** What is in the cluster, told apart by one value. */
const write = (machine: Machine, value: string) =>
  machine.exec([
    'sh',
    '-c',
    `k3s kubectl create configmap mark --from-literal=value=${value} --dry-run=client -o yaml | ` +
      'k3s kubectl apply -f -',
  ]);
const read = (machine: Machine) =>
  kubectl(machine, 'get', 'configmap', 'mark', '-o', 'jsonpath={.data.value}');
const isReady = async (machine: Machine) => (await document(machine, 'status')).ready;

const install = async (machine: Machine, ...more: readonly string[]) => {
  await stand.equip(machine);
  await installByOneLine(stand, machine, ['--token-file', TOKEN_FILE, '--json', ...more]);
};

/** Brings a snapshot and its key to another machine, as a person would. */
async function carry(name: string, from: Machine, to: Machine): Promise<void> {
  const path = `/var/lib/pipeops-agent-snapshots/${name}.snapshot`;
  await to.copyIn(from.pathOnHost(path), '/root/carried.snapshot', { mode: 0o600 });
  const key = (await agent(from, 'snapshot', 'key')).stdout;
  await to.writeFile('/root/key', key, { mode: 0o600 });
}

const RESTORE_CARRIED = [
  ...['snapshot', 'restore', '/root/carried.snapshot'],
  ...['--key-file', '/root/key', '--yes'],
];

test(
  'a cluster in SQLite is snapshot, restored in place, and on a machine without data',
  async () => {
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-snapshots'), async () => {
      await progress.phase('install', () => install(server));
      await progress.phase('a snapshot of 100 MB', snapshotOf100MB);
      await progress.phase('by the control plane', byControlPlane);
      await progress.phase('restore in place', restoreInPlace);
      await progress.phase('install an empty machine', () => install(empty));
      await progress.phase('restore elsewhere', () => restoreElsewhere('sqlite'));
    });
  },
  TEST_TIMEOUT_MS,
);

async function snapshotOf100MB(): Promise<void> {
  await write(server, 'one');
  await server.exec(
    [
      'sh',
      '-c',
      `for i in $(seq ${FILLERS}); do head -c ${Math.floor((FILLER_BYTES * 3) / 4)} /dev/urandom | base64 -w0 > /tmp/f; ` +
        'k3s kubectl create configmap filler-$i --from-file=/tmp/f >/dev/null; done; rm /tmp/f',
    ],
    { timeoutMs: RUN_TIMEOUT_MS },
  );
  const startedAt = performance.now();
  const made = await document(server, 'snapshot', 'create', '--name', 'one');
  const seconds = (performance.now() - startedAt) / 1_000;
  process.stderr.write(`a snapshot of ${made.bytes} bytes: ${seconds.toFixed(2)} s\n`);
  expect(made).toMatchObject({ name: 'one', kind: 'manual', datastore: 'sqlite', node: 'server' });
  expect(made.bytes).toBeGreaterThan(60_000_000);
  expect(seconds).toBeLessThan(SNAPSHOT_SECONDS_MAX);
  expect(await document(server, 'snapshot', 'check', 'one')).toMatchObject({ restorable: true });
  const { stdout } = await server.exec(['sh', '-c', 'ls -la /var/lib/pipeops-agent-snapshots']);
  expect(stdout).toMatch(/-rw------- .* one\.snapshot/);
}

async function byControlPlane(): Promise<void> {
  const { id } = await stand.registeredAgent();
  const { result } = await stand.finished(id, await stand.command(id, 'snapshot', {}));
  expect(result).toMatchObject({ success: true, data: { datastore: 'sqlite', node: 'server' } });
  const { snapshots } = await document(server, 'snapshot', 'list');
  expect(snapshots.map((each: { kind: string }) => each.kind)).toEqual(['command', 'manual']);
}

async function restoreInPlace(): Promise<void> {
  await write(server, 'two');
  const plan = await document(server, 'snapshot', 'restore', 'one', '--dry-run');
  expect(plan).toMatchObject({ isSameCluster: true, node: 'server' });
  expect(await read(server)).toBe('two');
  await agent(server, 'snapshot', 'restore', 'one', '--yes');
  expect(await read(server)).toBe('one');
  expect(await isReady(server)).toBe(true);
  const { stdout } = await server.exec([
    'sh',
    '-c',
    'ls /var/lib/rancher/k3s/before-restore-*/server',
  ]);
  expect(stdout.trim().split('\n')).toContain('db');
  const left = await server.exec([
    'sh',
    '-c',
    'ls /etc/rancher/k3s/config.yaml.d /var/lib/rancher/k3s',
  ]);
  expect(left.stdout).not.toMatch(/pipeops-restore/);
}

async function restoreElsewhere(datastore: string): Promise<void> {
  const name = datastore === 'etcd' ? 'of-etcd' : 'one';
  await carry(name, server, empty);
  await write(empty, 'other');
  await agent(empty, 'snapshot', 'key');
  expect(
    await refused(empty, 'snapshot', 'restore', '/root/carried.snapshot', '--yes'),
  ).toMatchObject({
    code: 'SNAPSHOT_INVALID',
  });
  expect(await read(empty)).toBe('other');
  const { stderr } = await agent(empty, ...RESTORE_CARRIED);
  expect(stderr).toContain('of ANOTHER cluster');
  expect(await read(empty)).toBe('one');
  expect(await kubectl(empty, 'get', 'nodes', '-o', 'jsonpath={.items[*].metadata.name}')).toBe(
    'empty server',
  );
  expect(await isReady(empty)).toBe(true);
  const ca = ['cat', '/var/lib/rancher/k3s/server/tls/server-ca.crt'] as const;
  expect((await empty.exec(ca)).stdout).toBe((await server.exec(ca)).stdout);
}

test(
  'a cluster in etcd is snapshot, and restored on a machine without data',
  async () => {
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-snapshots'), async () => {
      await progress.phase('move to etcd', () => install(server, '--ha'));
      const made = await progress.phase('a snapshot', () =>
        document(server, 'snapshot', 'create', '--name', 'of-etcd'),
      );
      expect(made).toMatchObject({ datastore: 'etcd' });
      await progress.phase('an empty machine', async () => {
        await agent(empty, 'uninstall', '--yes', '--delete-data');
        await install(empty);
      });
      await progress.phase('restore elsewhere', () => restoreElsewhere('etcd'));
    });
  },
  TEST_TIMEOUT_MS,
);
