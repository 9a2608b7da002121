/** Snapshots of real clusters, with SQLite and with etcd, restored in place and on machines without data. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type S3Peer, startS3Peer } from '../support/s3-peer.ts';
import { IS_EVERY_CASE } from '../support/sampled.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
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
let store: S3Peer;
let agentId = '';

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('snapshots');
  store = await startS3Peer(stand.lab.hostAddress);
  const boot = (name: string) => stand.lab.boot({ name, base: 'kubernetes', images: true });
  [server, empty] = await Promise.all([boot('server'), boot('empty')]);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await store?.[Symbol.asyncDispose]();
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

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
  'a cluster is snapshot and restored, in place and on a machine without data',
  async () => {
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-snapshots'), async () => {
      await progress.phase('install', () => install(server));
      agentId = (await stand.registeredAgent()).id;
      await progress.phase('a snapshot of 100 MB', snapshotOf100MB);
      await progress.phase('by the control plane', () => byControlPlane('sqlite'));
      await progress.phase('by the timer, with copies', byTimer);
      await progress.phase('restore in place', restoreInPlace);
      await progress.phase('a restore that is interrupted', interruptRestore);
      await progress.phase('install an empty machine', () => install(empty));
      await progress.phase('restore elsewhere', () => restoreElsewhere('sqlite'));
      if (IS_EVERY_CASE) {
        await inEtcd();
      }
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

async function byControlPlane(datastore: string): Promise<void> {
  const { result } = await stand.finished(agentId, await stand.command(agentId, 'snapshot', {}));
  expect(result).toMatchObject({ success: true, data: { datastore, node: 'server' } });
  const { snapshots } = await document(server, 'snapshot', 'list');
  expect(snapshots[0]).toMatchObject({ kind: 'command', datastore });
}

async function byTimer(): Promise<void> {
  const { endpoint, bucket, region, accessKeyId, secretAccessKey } = store.settings;
  const config = '/etc/pipeops-agent/config.yaml';
  const lines = [
    'snapshots:',
    ...['  copy_to: /mnt/backup', `  s3_endpoint: ${endpoint}`, `  s3_bucket: ${bucket}`],
    ...[`  s3_region: ${region}`, '  s3_credentials_file: /root/s3.yaml'],
  ];
  await server.writeFile(
    '/root/s3.yaml',
    `access_key_id: ${accessKeyId}\nsecret_access_key: ${secretAccessKey}\n`,
    { mode: 0o600 },
  );
  await server.exec(['mkdir', '-p', '/mnt/backup']);
  await server.exec(['sh', '-c', `printf '%s\\n' "$@" >> ${config}`, 'sh', ...lines]);
  await server.exec(['systemctl', 'start', 'pipeops-agent-snapshots.service'], {
    timeoutMs: RUN_TIMEOUT_MS,
  });
  const { stdout } = await server.exec(['systemctl', 'is-active', 'pipeops-agent-snapshots.timer']);
  expect(stdout.trim()).toBe('active');
  const { snapshots } = await document(server, 'snapshot', 'list');
  const kinds = snapshots.map((each: { kind: string }) => each.kind);
  expect(kinds).toEqual(['scheduled', 'command', 'manual']);
  const { copies } = await document(server, 'snapshot', 'list', '--copies');
  expect(copies).toHaveLength(6);
  const state = await server.exec(['cat', '/var/lib/pipeops-agent-snapshots/state.json']);
  expect(JSON.parse(state.stdout)).toMatchObject({ problems: [], checked_at: expect.any(String) });
}

/** While k3s starts: then its data are not what they were. */
async function interruptRestore(): Promise<void> {
  await write(server, 'three');
  const script =
    'pipeops-agent snapshot restore one --yes 2>/root/restore.log & pid=$!; ' +
    'until systemctl is-active -q k3s && [ -e /etc/rancher/k3s/config.yaml.d/99-pipeops-restore.yaml ] ' +
    '|| ! kill -0 $pid; do sleep 0.1; done; kill -INT $pid; wait $pid; echo "exit $?"';
  const { stdout } = await server.exec(['sh', '-c', script], { timeoutMs: RUN_TIMEOUT_MS });
  expect(stdout.trim()).toBe('exit 130');
  const log = await server.exec(['cat', '/root/restore.log']);
  expect(log.stdout).toContain('What was here before is back in place');
  const value = await waitUntil('the cluster is back', RUN_TIMEOUT_MS, () =>
    read(server).catch(() => undefined),
  );
  expect(value).toBe('three');
  expect((await server.exec(['systemctl', 'is-enabled', 'k3s'])).stdout.trim()).toBe('enabled');
}

async function restoreInPlace(): Promise<void> {
  await write(server, 'two');
  const plan = await document(server, 'snapshot', 'restore', 'one', '--dry-run');
  expect(plan).toMatchObject({ same_cluster: true, node: 'server' });
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
  // What stood in the cluster when the snapshot was made.
  expect(await read(empty)).toBe(datastore === 'etcd' ? 'three' : 'one');
  expect(await kubectl(empty, 'get', 'nodes', '-o', 'jsonpath={.items[*].metadata.name}')).toBe(
    'empty server',
  );
  expect(await isReady(empty)).toBe(true);
  await waitUntil('its agent has the session', RUN_TIMEOUT_MS, async () => {
    const { session } = await document(empty, 'status');
    return session.phase === 'connected' ? true : undefined;
  });
  const ca = ['cat', '/var/lib/rancher/k3s/server/tls/server-ca.crt'] as const;
  expect((await empty.exec(ca)).stdout).toBe((await server.exec(ca)).stdout);
}

/** The same server, with its data moved to etcd: in `long`, as three servers are. */
async function inEtcd(): Promise<void> {
  await progress.phase('move to etcd', () => install(server, '--ha'));
  const made = await progress.phase('a snapshot', () =>
    document(server, 'snapshot', 'create', '--name', 'of-etcd'),
  );
  expect(made).toMatchObject({ datastore: 'etcd' });
  await progress.phase('by the control plane', () => byControlPlane('etcd'));
  await progress.phase('an empty machine', async () => {
    await agent(empty, 'uninstall', '--yes', '--delete-data');
    await install(empty);
  });
  await progress.phase('restore elsewhere', () => restoreElsewhere('etcd'));
}
