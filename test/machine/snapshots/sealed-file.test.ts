import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import {
  openSnapshot,
  readSnapshotHeader,
  sealFile,
} from '../../../src/machine/snapshots/sealed-file.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import type { SnapshotHeader } from '../../../src/protocol/files/snapshot.ts';
import { snapshotKeyId } from '../../../src/protocol/secrets/snapshot-key.ts';
import { failureOf } from '../../support/failure-of.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

const KEY = new Uint8Array(32).fill(7);
const TOKEN = 'K10abc::server:the-password-of-servers';
/** A piece and a half, of which no part is like another. */
const DATA = Buffer.from(Array.from({ length: 300_000 }, (_, index) => `${index}\n`).join(''));

let directory: TempDirectory;
const files = systemFiles('/');
const at = (name: string) => join(directory.path, name);
beforeEach(async () => {
  directory = await tempDirectory();
  await Bun.write(at('data'), DATA);
});
afterEach(() => directory[Symbol.asyncDispose]());

function headerWith(changes: Partial<SnapshotHeader> = {}): SnapshotHeader {
  return {
    pipeops_snapshot: 1,
    name: 'before-upgrade',
    kind: 'manual',
    created: '2026-01-01T00:00:00.000Z',
    node: 'node-1',
    datastore: 'sqlite',
    k3s: 'v1.36.3+k3s1',
    cluster: 'c0ffee',
    size_bytes: DATA.length,
    key_id: snapshotKeyId(KEY),
    salt: Buffer.alloc(16, 1).toString('base64'),
    ...changes,
  };
}

async function sealed(header = headerWith()): Promise<Buffer> {
  await sealFile({ files }, at('data'), at('a'), { header, secrets: { token: TOKEN } }, KEY);
  return Buffer.from(await Bun.file(at('a')).bytes());
}

const open = (key = KEY) => openSnapshot({ files }, at('a'), at('out'), key);

test('what was sealed is opened with its token, and nobody else reads the token or the data', async () => {
  const bytes = await sealed();
  const opened = await open();
  const sha256 = new Bun.CryptoHasher('sha256').update(DATA).digest('hex');
  expect(opened).toEqual({ header: headerWith(), secrets: { token: TOKEN }, sha256 });
  expect(Buffer.from(await Bun.file(at('out')).bytes()).equals(DATA)).toBe(true);
  expect((await files.stat(at('a')))?.mode).toBe(0o600);
  expect((await files.stat(at('out')))?.mode).toBe(0o600);
  expect([bytes.includes('the-password'), bytes.includes('299999')]).toEqual([false, false]);
  expect(await readSnapshotHeader({ files }, at('a'))).toEqual(headerWith());
});

test('no data at all are sealed and opened, too', async () => {
  await Bun.write(at('data'), '');
  await sealed(headerWith({ size_bytes: 0 }));
  expect((await open()).secrets).toEqual({ token: TOKEN });
});

test('another key is named, and opens nothing', async () => {
  await sealed();
  expect(await failureOf(() => open(new Uint8Array(32).fill(8)))).toMatchObject({
    code: 'SNAPSHOT_INVALID',
    message: `Cannot use the snapshot ${at('a')}: another key opens it: ${snapshotKeyId(KEY)}`,
  });
});

const frameStarts = (bytes: Buffer): readonly number[] => {
  const starts: number[] = [];
  for (let offset = bytes.indexOf('\n') + 1; offset < bytes.length; ) {
    starts.push(offset);
    offset += 4 + bytes.readUInt32BE(offset);
  }
  return starts;
};

const TAMPERINGS: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
  ['a bit of the data is turned', (bytes) => turned(bytes, bytes.length - 1_000)],
  ['a bit of the token is turned', (bytes) => turned(bytes, bytes.indexOf('\n') + 10)],
  [
    'its header is another',
    (bytes) =>
      Buffer.concat([
        Buffer.from(`${JSON.stringify(headerWith({ node: 'evil' }))}\n`),
        bytes.subarray(bytes.indexOf('\n') + 1),
      ]),
  ],
  ['its last bytes are missing', (bytes) => bytes.subarray(0, bytes.length - 5)],
  ['its last frame is missing', (bytes) => bytes.subarray(0, frameStarts(bytes).at(-1))],
  [
    'a frame in it is missing',
    (bytes) => {
      const [, second = 0, third = 0] = frameStarts(bytes);
      return Buffer.concat([bytes.subarray(0, second), bytes.subarray(third)]);
    },
  ],
  ['something follows it', (bytes) => Buffer.concat([bytes, Buffer.from('more')])],
  ['a frame claims to be huge', (bytes) => overwritten(bytes, bytes.indexOf('\n') + 1, 0xff)],
];

function turned(bytes: Buffer, offset: number): Buffer {
  return overwritten(bytes, offset, (bytes[offset] ?? 0) ^ 1);
}

function overwritten(bytes: Buffer, offset: number, value: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[offset] = value;
  return changed;
}

test.each(TAMPERINGS)('it is not opened when %s', async (_, tamper) => {
  await Bun.write(at('a'), tamper(await sealed()));
  expect(await failureOf(() => open())).toMatchObject({ code: 'SNAPSHOT_INVALID' });
});

test.each([
  [
    'is of a newer agent',
    JSON.stringify({ ...headerWith(), pipeops_snapshot: 2 }),
    'no version of the agent as old as this one reads it',
  ],
  ['is something else', 'SQLite format 3', 'it is no snapshot'],
  ['is empty', '', 'it is no snapshot'],
])('a file that %s is told apart', async (_, start, why) => {
  await Bun.write(at('a'), start === '' ? '' : `${start}\n`);
  expect(await failureOf(() => readSnapshotHeader({ files }, at('a')))).toMatchObject({
    code: 'SNAPSHOT_INVALID',
    message: `Cannot use the snapshot ${at('a')}: ${why}`,
  });
});

test('100 MB are sealed and opened within seconds', async () => {
  const line =
    'a value of Kubernetes, as long as many of them are, and not quite the same each time ';
  const rows = Array.from({ length: 1_000_000 }, (_, index) => `${line}${index * 7_919}\n`);
  await Bun.write(at('data'), rows.join(''));
  const { size } = Bun.file(at('data'));
  const startedAt = performance.now();
  await sealed(headerWith({ size_bytes: size }));
  await openSnapshot({ files }, at('a'), undefined, KEY);
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(`${Math.round(size / 1e6)} MB sealed and opened in ${seconds.toFixed(2)} s`);
  expect(seconds).toBeLessThan(5);
}, 60_000);
