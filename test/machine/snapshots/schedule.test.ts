/** Snapshots on a simulated machine whose k3s has a real database: by hand, by the timer, and their copies. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { Clock } from '../../../src/core/ports.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemObjectStore } from '../../../src/platform/object-store.ts';
import { INSTALL, INSTALL_ENV } from '../../support/installation.ts';
import { identityRow, kineDatabase } from '../../support/kine-database.ts';
import { type S3Peer, startS3Peer } from '../../support/s3-peer.ts';
import { type SimulatedMachine, simulatedMachine } from '../../support/simulated-machine.ts';

const DIRECTORY = '/var/lib/pipeops-agent-snapshots';
const STATE_DB = '/var/lib/rancher/k3s/server/db/state.db';
const CONFIG = '/etc/pipeops-agent/config.yaml';
const CREDENTIALS = '/root/s3.yaml';
const DAY_MS = 86_400_000;
/** Of the token of the simulated k3s: under it stand the keys of the cluster. */
const ROW = identityRow('token');

let machine: SimulatedMachine;
let peer: S3Peer;
beforeAll(async () => {
  peer = await startS3Peer();
}, 600_000);
afterAll(() => peer?.[Symbol.asyncDispose]());
beforeEach(async () => {
  machine = await simulatedMachine();
  expect(await machine.run(INSTALL, { env: INSTALL_ENV })).toMatchObject({ exitCode: 0 });
  await machine.put(STATE_DB, await kineDatabase(ROW));
});
afterEach(() => machine[Symbol.asyncDispose]());

/** Runs a subcommand of snapshots, as if it were later. */
async function snapshot(words: readonly string[], daysLater = 0) {
  const clock: Clock = {
    ...systemClock,
    now: () => new Date(Date.now() + daysLater * DAY_MS),
  };
  const ran = await machine.run(['snapshot', ...words, '--json'], { clock });
  return { exitCode: ran.exitCode, stderr: ran.stderr, ...JSON.parse(ran.stdout) };
}
const names = async () =>
  (await snapshot(['list'])).snapshots.map(({ name }: { name: string }) => name);
const configure = async (lines: string) => {
  const text = (await machine.files.readText(CONFIG)) ?? '';
  await machine.put(CONFIG, `${text}\n${lines}`);
};

describe('by hand', () => {
  test('a snapshot is made, listed, checked and deleted; its key and files are root’s', async () => {
    const made = await snapshot(['create', '--name', 'before']);
    expect(made).toMatchObject({
      ...{ exitCode: 0, name: 'before', kind: 'manual', datastore: 'sqlite', node: 'node-1' },
      path: `${DIRECTORY}/before.snapshot`,
    });
    expect(made.stderr).toContain('Keep a copy of the key elsewhere');
    expect(await names()).toEqual(['before']);
    expect(await snapshot(['check', 'before'])).toMatchObject({ exitCode: 0, restorable: true });
    const modes = await Promise.all(
      ['', '/before.snapshot', '/key'].map((name) => machine.files.stat(`${DIRECTORY}${name}`)),
    );
    expect(modes.map((stat) => stat?.mode)).toEqual([0o700, 0o600, 0o600]);
    expect(await machine.files.list(DIRECTORY)).toEqual(['before.snapshot', 'key']);
    expect(await snapshot(['create', '--name', 'before'])).toMatchObject({
      exitCode: 2,
      error: { code: 'USAGE' },
    });
    expect(await snapshot(['delete', 'before'])).toMatchObject({ deleted: 'before' });
    expect(await names()).toEqual([]);
  });

  test('two never make the key at once: a snapshot of the other one’s could not be opened', async () => {
    const busy = await machine.run(['snapshot', 'key'], { lockHeldBy: 'snapshot create' });
    expect(busy).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('[BUSY]') });
    expect(await machine.files.stat(`${DIRECTORY}/key`)).toBeUndefined();
    const { stdout } = await machine.run(['snapshot', 'key']);
    expect(stdout).toStartWith('psk1.');
    const again = await machine.run(['snapshot', 'key'], { lockHeldBy: 'snapshot create' });
    expect(again.stdout).toBe(stdout);
  });

  test('a copy to which the token does not belong is not kept', async () => {
    await machine.put(STATE_DB, await kineDatabase('/bootstrap/of-another'));
    expect(await snapshot(['create'])).toMatchObject({
      error: {
        code: 'SNAPSHOT_INVALID',
        message: `The copy could not be restored: it has no ${ROW}`,
      },
    });
    expect(await machine.files.list(DIRECTORY)).toEqual(['key']);
  });

  // By the last two a store's copies are told to be of the schedule or of commands: they expire.
  test.each([
    ...['../evil', 'UPPER', 'a/b', '-x'],
    ...['scheduled-20260101t000000z', 'command-0123456789ab'],
  ])('the name %j is refused', async (name) => {
    const ran = await machine.run(['snapshot', 'create', `--name=${name}`]);
    expect(ran).toMatchObject({ exitCode: 2 });
  });

  test('uninstall keeps them and says so, and removes them with the data of volumes', async () => {
    await snapshot(['create', '--name', 'before']);
    const kept = await machine.run(['uninstall', '--yes', '--json']);
    expect(JSON.parse(kept.stdout).kept).toEqual([DIRECTORY]);
    expect(await names()).toEqual(['before']);
    expect(await machine.run(INSTALL, { env: INSTALL_ENV })).toMatchObject({ exitCode: 0 });
    const gone = await machine.run(['uninstall', '--yes', '--delete-data', '--json']);
    expect(JSON.parse(gone.stdout).kept).toEqual([]);
    expect(await machine.files.stat(DIRECTORY)).toBeUndefined();
  });
});

describe('by the timer', () => {
  test('one is made when it is due, and the oldest go', async () => {
    await configure('snapshots: { every: 1d, keep: 2 }\n');
    expect((await snapshot(['run'])).done).toEqual([
      expect.stringMatching(/^Made scheduled-\d{8}t\d{6}z$/),
      expect.stringContaining('can be restored'),
    ]);
    expect((await snapshot(['run'], 0.5)).done).toEqual([]);
    expect((await snapshot(['run'], 1)).done).toEqual([expect.stringContaining('Made ')]);
    expect((await snapshot(['run'], 2)).done).toEqual([
      expect.stringContaining('Made '),
      expect.stringContaining('Deleted '),
    ]);
    expect(await names()).toHaveLength(2);
  });

  test('one that a clock ahead has dated does not count: one a day is made all the same', async () => {
    await configure('snapshots: { every: 1d, keep: 3 }\n');
    await snapshot(['run'], 3_650);
    expect((await snapshot(['run'])).done).toEqual([
      expect.stringContaining('Made '),
      expect.stringContaining('can be restored'),
    ]);
    expect((await snapshot(['run'], 0.1)).done).toEqual([]);
    const { made_at } = await machine.json(`${DIRECTORY}/state.json`);
    expect(Date.parse(String(made_at))).toBeLessThan(Date.now() + DAY_MS);
  });

  test('those of another cluster, fetched to be restored, stay, and count for none here', async () => {
    await snapshot(['run']);
    await configure('snapshots: { every: 1d, keep: 1, copy_to: /mnt/backup }\n');
    await machine.files.makeDirectory('/mnt/backup', { mode: 0o755 });
    const [foreign] = await names();
    await machine.put('/var/lib/rancher/k3s/server/tls/server-ca.crt', 'of another cluster');
    const { done } = await snapshot(['run'], 0.01);
    const [own] = await names();
    expect(done).toEqual([`Made ${own}`, `Copied ${own} to /mnt/backup`]);
    expect((await snapshot(['run'], 1)).done).toEqual([
      expect.stringContaining('Made '),
      `Deleted ${own}`,
      expect.stringContaining('Copied '),
      `Deleted ${own} in /mnt/backup`,
    ]);
    expect(await names()).toEqual([expect.not.stringMatching(`^(${own}|${foreign})$`), foreign]);
  });

  test('none is made where root wants none', async () => {
    await configure('snapshots: { every: never }\n');
    expect(await snapshot(['run'])).toMatchObject({ exitCode: 0, done: [], problems: [] });
  });

  test('one that cannot be restored is found within a month, and doctor says so', async () => {
    await configure('snapshots: { every: never }\n');
    await snapshot(['create', '--name', 'only']);
    expect((await snapshot(['run'])).done).toEqual(['only can be restored']);
    const path = `${DIRECTORY}/only.snapshot`;
    const bytes = Buffer.from((await machine.files.readBytes(path)) ?? []);
    bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 1;
    await machine.put(path, bytes, 0o600);
    expect((await snapshot(['run'], 29)).done).toEqual([]);
    const found = await snapshot(['run'], 31);
    expect(found).toMatchObject({ exitCode: 6, error: { code: 'SNAPSHOT_INVALID' } });
    const doctor = JSON.parse((await machine.run(['doctor', '--json'])).stdout);
    expect(doctor.checks).toContainEqual(
      expect.objectContaining({
        id: 'snapshots',
        finding: expect.objectContaining({
          message: expect.stringContaining('Snapshots: the check: Cannot use the snapshot'),
        }),
      }),
    );
  });
});

describe('copies', () => {
  const store = () => systemObjectStore('/', peer.settings);
  const setUpStore = async () => {
    await machine.put(CREDENTIALS, 'access_key_id: the-access-key\nsecret_access_key: s\n', 0o600);
    const { endpoint, bucket } = peer.settings;
    return `s3_endpoint: "${endpoint}", s3_bucket: ${bucket}, s3_credentials_file: ${CREDENTIALS}`;
  };

  test('go to a directory and to a store, and come back from both', async () => {
    await machine.files.makeDirectory('/mnt/backup', { mode: 0o755 });
    await configure(`snapshots: { every: never, copy_to: /mnt/backup, ${await setUpStore()} }\n`);
    await snapshot(['create', '--name', 'one']);
    expect((await snapshot(['run'])).done).toEqual([
      'Copied one to /mnt/backup',
      expect.stringMatching(/^Copied one to backups at http:/),
      'one can be restored',
    ]);
    expect((await snapshot(['run'])).done).toEqual([]);
    const { copies } = await snapshot(['list', '--copies']);
    expect(copies).toHaveLength(2);
    for (const { from } of copies) {
      await snapshot(['delete', 'one']);
      expect(await names()).toEqual([]);
      expect(await snapshot(['fetch', from])).toMatchObject({ exitCode: 0, name: 'one' });
      expect(await snapshot(['check', 'one'])).toMatchObject({ restorable: true });
    }
    for (const { from } of copies.filter((copy: { from: string }) => !copy.from.startsWith('/'))) {
      await store().remove(from);
    }
  });

  test('what is no snapshot among the copies stops none, and stays', async () => {
    await machine.files.makeDirectory('/mnt/backup', { mode: 0o755 });
    await configure('snapshots: { every: never, copy_to: /mnt/backup }\n');
    await snapshot(['create', '--name', 'one']);
    await snapshot(['run']);
    const [{ from }] = (await snapshot(['list', '--copies'])).copies;
    const other = String(from).replace('one.snapshot', 'other.snapshot');
    const copy = (await machine.files.readBytes(from)) ?? new Uint8Array();
    await machine.put(from, 'cut off');
    await machine.put(other, 'no snapshot');
    await machine.put(String(from).replace('one.snapshot', 'another.snapshot'), copy);
    expect(await snapshot(['run'])).toMatchObject({
      ...{ exitCode: 0, done: ['Copied one to /mnt/backup'] },
    });
    expect((await snapshot(['list', '--copies'])).copies).toMatchObject([{ name: 'one' }]);
    expect(await machine.files.readText(other)).toBe('no snapshot');
  });

  test('a directory that is not mounted stops neither the store nor the rest', async () => {
    await configure(`snapshots: { every: 1d, copy_to: /mnt/gone, ${await setUpStore()} }\n`);
    const ran = await snapshot(['run']);
    expect(ran).toMatchObject({ exitCode: 8, error: { code: 'NOT_FOUND' } });
    expect(ran.error.message).toBe('copies to /mnt/gone: There is no directory /mnt/gone');
    expect(await machine.files.stat('/mnt/gone')).toBeUndefined();
    const copied = (await snapshot(['list', '--copies'])).copies;
    expect(copied.map(({ kind }: { kind: string }) => kind)).toEqual(['scheduled']);
    await store().remove(copied[0].from);
  });

  test('credentials that others can read are refused, and not repeated', async () => {
    await configure(`snapshots: { every: never, ${await setUpStore()} }\n`);
    await machine.put(CREDENTIALS, 'access_key_id: a\nsecret_access_key: very-secret\n', 0o644);
    const ran = await snapshot(['run']);
    expect(ran.error).toMatchObject({
      code: 'CONFIG_INVALID',
      message: `copies: Cannot use ${CREDENTIALS}: others than its owner can read it`,
    });
    expect(JSON.stringify(ran)).not.toContain('very-secret');
  });
});
