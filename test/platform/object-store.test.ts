import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { systemObjectStore } from '../../src/platform/object-store.ts';
import { failureOf } from '../support/failure-of.ts';
import { type S3Peer, startS3Peer } from '../support/s3-peer.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';

/** More than one part. */
const BYTES = 20 * 1024 * 1024;

let peer: S3Peer;
let directory: TempDirectory;
const at = (name: string) => join(directory.path, name);
beforeAll(async () => {
  peer = await startS3Peer();
  directory = await tempDirectory();
}, 600_000);
afterAll(async () => {
  await peer?.[Symbol.asyncDispose]();
  await directory?.[Symbol.asyncDispose]();
});

test('a file of several parts comes back as it was, and is listed until it is deleted', async () => {
  const store = systemObjectStore('/', peer.settings);
  const data = crypto.getRandomValues(new Uint8Array(65_536));
  const whole = Buffer.concat(Array.from({ length: BYTES / data.length }, () => data));
  await Bun.write(at('data'), whole);
  await store.put('cluster/node-1/one.snapshot', at('data'));
  await store.put('cluster/node-10/two.snapshot', at('data'));
  const listed = await store.list('cluster/node-1/');
  expect(listed).toEqual([
    { key: 'cluster/node-1/one.snapshot', bytes: BYTES, modified: expect.any(Date) },
  ]);
  expect(Math.abs(Date.now() - (listed[0]?.modified.getTime() ?? 0))).toBeLessThan(60_000);
  const endless = await failureOf(() =>
    store.get('cluster/node-1/one.snapshot', at('cut'), BYTES - 1),
  );
  expect(endless).toMatchObject({ code: 'DISK_FULL' });
  expect(Bun.file(at('cut')).size).toBeLessThan(BYTES);
  await store.get('cluster/node-1/one.snapshot', at('back'), BYTES);
  expect(Buffer.from(await Bun.file(at('back')).bytes()).equals(whole)).toBe(true);
  await store.remove('cluster/node-1/one.snapshot');
  expect(await store.list('cluster/node-1/')).toEqual([]);
}, 60_000);

test('what the store refuses is told in its words, and without the secret', async () => {
  const { settings } = peer;
  const missing = await failureOf(() =>
    systemObjectStore('/', settings).get('none', at('none'), BYTES),
  );
  expect(missing).toMatchObject({ code: 'STORAGE_UNREACHABLE' });
  expect(missing.message).toContain('NoSuchKey');
  const wrong = systemObjectStore('/', { ...settings, accessKeyId: 'another' });
  const refused = await failureOf(() => wrong.list(''));
  expect(refused.message).toContain('InvalidAccessKeyId');
  const elsewhere = systemObjectStore('/', { ...settings, bucket: 'no-such-bucket' });
  expect((await failureOf(() => elsewhere.list(''))).message).toContain('NoSuchBucket');
  const nobody = systemObjectStore('/', { ...settings, endpoint: 'http://127.0.0.1:1' });
  const unreachable = await failureOf(() => nobody.list(''));
  expect(unreachable).toMatchObject({ code: 'STORAGE_UNREACHABLE' });
  for (const { message } of [missing, refused, unreachable]) {
    expect(message).not.toContain('the-secret-key');
  }
}, 60_000);
