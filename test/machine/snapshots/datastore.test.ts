import { afterEach, beforeEach, expect, test } from 'bun:test';
import { copyProblem, datastoreHere } from '../../../src/machine/snapshots/datastore.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { systemDatabases } from '../../../src/store/databases.ts';
import { failureOf } from '../../support/failure-of.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

const TOKEN = 'K10abc::server:the-password';
/** SHA-256 of the password, as k3s names the row of the cluster's keys. */
const HASH = new Bun.CryptoHasher('sha256').update('the-password').digest('hex').slice(0, 12);
const SERVER = '/var/lib/rancher/k3s/server';

let directory: TempDirectory;
let deps: Parameters<typeof copyProblem>[0];
beforeEach(async () => {
  directory = await tempDirectory();
  const exec = { run: () => Promise.reject(new Error('nothing is run')) };
  deps = { exec, files: systemFiles(directory.path), databases: systemDatabases(directory.path) };
});
afterEach(() => directory[Symbol.asyncDispose]());

const put = async (path: string, data: string | Uint8Array = '') => {
  await deps.files.makeDirectory(path.slice(0, path.lastIndexOf('/')) || '/', { mode: 0o755 });
  await deps.files.writeAtomic(path, data, { mode: 0o600 });
};

/** As etcd writes it: pages, then SHA-256 of them. */
function etcdSnapshot(content: string): Buffer {
  const pages = Buffer.alloc(3 * 1024 * 1024, content);
  return Buffer.concat([pages, new Bun.CryptoHasher('sha256').update(pages).digest()]);
}

const problem = (token = TOKEN) => copyProblem(deps, 'etcd', '/copy', token);

test('a snapshot of etcd is right with its hash and the keys that the token opens', async () => {
  await put('/copy', etcdSnapshot(`x/bootstrap/${HASH}y`));
  expect(await problem()).toBeUndefined();
  const other = new Bun.CryptoHasher('sha256').update('other').digest('hex').slice(0, 12);
  expect(await problem('K10abc::server:other')).toBe(`it has no /bootstrap/${other}`);
  expect(await problem('other')).toBe(`it has no /bootstrap/${other}`);
});

test('the keys are found where two pieces of the file meet', async () => {
  const row = `/bootstrap/${HASH}`;
  const pages = Buffer.alloc(2 * 1024 * 1024, 0);
  pages.write(row, 1024 * 1024 - 5);
  await put('/copy', Buffer.concat([pages, new Bun.CryptoHasher('sha256').update(pages).digest()]));
  expect(await problem()).toBeUndefined();
});

test('a snapshot of etcd that was changed or cut off is found', async () => {
  const whole = etcdSnapshot(`/bootstrap/${HASH} `);
  const changed = Buffer.from(whole);
  changed[1_000_000] = 0;
  await put('/copy', changed);
  expect(await problem()).toBe('its SHA-256 is another than etcd has written at its end');
  await put('/copy', whole.subarray(0, whole.length - 32));
  expect(await problem()).toBe('it is no snapshot of etcd, or has lost its end');
});

test('where the data are is seen by what k3s has on the disk', async () => {
  expect(await failureOf(() => datastoreHere(deps))).toMatchObject({ code: 'NOT_A_SERVER' });
  await put(`${SERVER}/token`, TOKEN);
  expect(await failureOf(() => datastoreHere(deps))).toMatchObject({ code: 'HOST_UNSUPPORTED' });
  await put(`${SERVER}/db/state.db`);
  expect(await datastoreHere(deps)).toBe('sqlite');
  await put(`${SERVER}/db/etcd/member/snap/db`);
  expect(await datastoreHere(deps)).toBe('etcd');
});
