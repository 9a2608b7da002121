import { afterEach, beforeEach, expect, test } from 'bun:test';
import { placesOf } from '../../../src/core/places.ts';
import { sealFile } from '../../../src/machine/snapshots/sealed-file.ts';
import {
  deleteSnapshot,
  expired,
  listSnapshots,
  type Retention,
  snapshotPath,
} from '../../../src/machine/snapshots/shelf.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import type { SnapshotKind } from '../../../src/protocol/files/snapshot.ts';
import { snapshotKeyId } from '../../../src/protocol/secrets/snapshot-key.ts';
import { failureOf } from '../../support/failure-of.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

const KEY = new Uint8Array(32).fill(7);
const DAY_MS = 86_400_000;
const NOW = new Date('2026-03-01T00:00:00.000Z');

const ofKind = (kind: SnapshotKind, ...daysAgo: readonly number[]) =>
  daysAgo.map((days) => ({
    name: `${kind}-${days}`,
    kind,
    created: new Date(NOW.getTime() - days * DAY_MS).toISOString(),
  }));
const gone = (entries: Parameters<typeof expired>[0], retention: Retention) =>
  expired(entries as ReturnType<typeof ofKind>, retention, NOW).map(({ name }) => name);

test('of each kind the newest stay, in number and by age; what people made stays', () => {
  const entries = [
    ...ofKind('scheduled', 0, 1, 2, 3, 40),
    ...ofKind('command', 0, 1, 2),
    ...ofKind('manual', 0, 100, 1_000),
  ];
  expect(gone(entries, { keep: 3, keepForMs: 30 * DAY_MS })).toEqual([
    'scheduled-3',
    'scheduled-40',
  ]);
  expect(gone(entries, { keep: 10, keepForMs: 30 * DAY_MS })).toEqual(['scheduled-40']);
  expect(gone(entries, { keep: 1, keepForMs: 30 * DAY_MS })).toEqual([
    ...['scheduled-1', 'scheduled-2', 'scheduled-3', 'scheduled-40'],
    ...['command-1', 'command-2'],
  ]);
});

test('the newest stays however old it is', () => {
  const entries = ofKind('scheduled', 400, 500);
  expect(gone(entries, { keep: 7, keepForMs: DAY_MS })).toEqual(['scheduled-500']);
});

test('one of the future is no newest: it keeps no other from staying, and goes first', () => {
  const entries = ofKind('scheduled', -3_650, 40, 41);
  expect(gone(entries, { keep: 7, keepForMs: 30 * DAY_MS })).toEqual(['scheduled-41']);
  expect(gone(ofKind('scheduled', -3_650, 0, 1), { keep: 2, keepForMs: 30 * DAY_MS })).toEqual([
    'scheduled--3650',
  ]);
  expect(gone(ofKind('scheduled', -3_650), { keep: 1, keepForMs: DAY_MS })).toEqual([]);
  // The clock of a store is a little ahead.
  expect(gone(ofKind('scheduled', -0.01, 1), { keep: 1, keepForMs: 30 * DAY_MS })).toEqual([
    'scheduled-1',
  ]);
});

test('those whom a control plane makes in numbers push none of the schedule out', () => {
  const commands = ofKind('command', ...Array.from({ length: 50 }, (_, index) => index / 100));
  const entries = [...commands, ...ofKind('scheduled', 1, 2)];
  expect(
    gone(entries, { keep: 2, keepForMs: 30 * DAY_MS }).filter((name) => name.startsWith('s')),
  ).toEqual([]);
});

let directory: TempDirectory;
let deps: Parameters<typeof listSnapshots>[0];
beforeEach(async () => {
  directory = await tempDirectory();
  deps = { files: systemFiles(directory.path), places: placesOf() };
});
afterEach(() => directory[Symbol.asyncDispose]());

async function put(name: string, created: string): Promise<void> {
  await deps.files.makeDirectory(deps.places.snapshotsDirectory, { mode: 0o700 });
  await deps.files.writeAtomic('/data', 'data', { mode: 0o600 });
  const header = {
    pipeops_snapshot: 1,
    name,
    kind: 'manual' as const,
    created,
    node: 'node-1',
    datastore: 'etcd' as const,
    k3s: null,
    cluster: 'c0ffee',
    size_bytes: 4,
    key_id: snapshotKeyId(KEY),
    salt: Buffer.alloc(16).toString('base64'),
  };
  await sealFile(
    deps,
    '/data',
    snapshotPath(deps.places, name),
    { header, secrets: { token: 't' } },
    KEY,
  );
}

test('they are listed newest first; what is no snapshot of ours is not touched', async () => {
  expect(await listSnapshots(deps)).toEqual([]);
  await put('older', '2026-01-01T00:00:00.000Z');
  await put('newer', '2026-01-02T00:00:00.000Z');
  await deps.files.writeAtomic(snapshotPath(deps.places, 'broken'), 'no', { mode: 0o600 });
  const listed = await listSnapshots(deps);
  expect(listed.map(({ name, bytes }) => [name, bytes > 0])).toEqual([
    ['newer', true],
    ['older', true],
  ]);
  await deleteSnapshot(deps, 'older');
  expect((await listSnapshots(deps)).map(({ name }) => name)).toEqual(['newer']);
  expect(await failureOf(() => deleteSnapshot(deps, 'older'))).toMatchObject({
    code: 'NOT_FOUND',
    message: 'There is no snapshot "older" on this machine',
  });
  expect(await failureOf(() => deleteSnapshot(deps, '../../etc/passwd'))).toMatchObject({
    code: 'NOT_FOUND',
  });
});
