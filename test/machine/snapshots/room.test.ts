/** A snapshot is unpacked only where k3s, which runs meanwhile, keeps room. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { placesOf } from '../../../src/core/places.ts';
import type { Files } from '../../../src/core/ports.ts';
import type { MachineContext } from '../../../src/machine/context.ts';
import { checkSnapshot } from '../../../src/machine/snapshots/check.ts';
import { restoreSnapshot } from '../../../src/machine/snapshots/restore.ts';
import { sealFile } from '../../../src/machine/snapshots/sealed-file.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import type { SnapshotHeader } from '../../../src/protocol/files/snapshot.ts';
import { encodeSnapshotKey, snapshotKeyId } from '../../../src/protocol/secrets/snapshot-key.ts';
import { failureOf } from '../../support/failure-of.ts';
import { ROOMY_DISK } from '../../support/machine-tree.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

const KEY = new Uint8Array(32).fill(7);
const PLACES = placesOf();
const PATH = `${PLACES.snapshotsDirectory}/one.snapshot`;
const HEADER: SnapshotHeader = {
  ...{ pipeops_snapshot: 1, name: 'one', kind: 'manual', created: '2026-01-01T00:00:00.000Z' },
  ...{ node: 'node-1', datastore: 'sqlite', k3s: null, cluster: 'c0ffee', size_bytes: 4 },
  ...{ key_id: snapshotKeyId(KEY), salt: Buffer.alloc(16).toString('base64') },
};

let directory: TempDirectory;
let files: Files;
let context: MachineContext;
beforeEach(async () => {
  directory = await tempDirectory();
  files = systemFiles(directory.path);
  await files.makeDirectory('/etc', { mode: 0o755 });
  await files.writeAtomic('/etc/passwd', 'root:x:0:0:::\n', { mode: 0o644 });
  await files.writeAtomic('/etc/group', 'root:x:0:\n', { mode: 0o644 });
  await files.makeDirectory(PLACES.snapshotsDirectory, { mode: 0o700 });
  await files.writeAtomic('/data', 'data', { mode: 0o600 });
  await files.writeAtomic(PLACES.snapshotKeyFile, encodeSnapshotKey(KEY), { mode: 0o600 });
  await sealFile({ files }, '/data', PATH, { header: HEADER, secrets: { token: 't' } }, KEY);
  const parts: Partial<MachineContext> = {
    files: { ...files, diskSpace: async () => ({ ...ROOMY_DISK, freeBytes: 1_000_000 }) },
    places: PLACES,
    lock: () => ({ release: () => undefined }),
  };
  context = parts as MachineContext;
});
afterEach(() => directory[Symbol.asyncDispose]());

const PLAN = { snapshot: HEADER, same_cluster: true, node: 'node-1', kept_in: '/kept', steps: [] };

test.each([
  ['checked', () => checkSnapshot(context, PATH)],
  ['restored', () => restoreSnapshot(context, { path: PATH, key: KEY }, PLAN, () => undefined)],
] as const)('none is %s on a disk that is nearly full', async (_, unpack) => {
  expect(await failureOf(unpack)).toMatchObject({
    code: 'DISK_FULL',
    message: expect.stringMatching(/^A snapshot needs \d+ MB of free space for a while/),
  });
  expect(await files.stat(`${PLACES.snapshotsDirectory}/scratch`)).toBeUndefined();
  expect(await files.list('/var/lib/rancher/k3s')).toEqual([]);
});
