/** What a version says of itself before it takes over, with a real store. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BUILD } from '../../../src/core/version.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { openDatabase } from '../../../src/store/database.ts';
import { cliContext } from '../../support/cli-context.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

let directory: TempDirectory;
let store: string;
let copy: string;
beforeEach(async () => {
  directory = await tempDirectory();
  [store, copy] = [join(directory.path, 'agent.db'), join(directory.path, 'copy.db')];
});
afterEach(async () => await directory[Symbol.asyncDispose]());

async function selfTest(...words: readonly string[]) {
  const { exitCode, stdout, stderr } = await cliContext({ root: '/' }).run(
    ...['upgrade', 'self-test', '--copy', copy, ...words],
  );
  return exitCode === 0 ? JSON.parse(stdout) : { exitCode, stderr };
}

test('a store that is in use is copied as it is, and the copy can be used again', async () => {
  const { database } = openDatabase({ clock: systemClock }, store);
  database.run("INSERT INTO early_cancels (id, at) VALUES ('c-1', 'now')");
  const before = await readFile(store);
  const good = { version: BUILD.version, store: 'good', config: null };
  expect([await selfTest('--from', store), await selfTest()]).toEqual([good, good]);
  expect(await readFile(store)).toEqual(before);
  const copied = openDatabase({ clock: systemClock }, copy).database;
  expect(copied.query('SELECT id FROM early_cancels').all()).toEqual([{ id: 'c-1' }]);
  copied.close();
  database.close();
});

test('a store that a newer version has made its own is refused', async () => {
  const { database } = openDatabase({ clock: systemClock }, store);
  database.run('PRAGMA user_version = 99');
  database.close();
  expect(await selfTest('--from', store)).toEqual({
    exitCode: 10,
    stderr: expect.stringContaining('[STATE_NEWER]'),
  });
});

test('no store, and a damaged one, keep nobody', async () => {
  expect(await selfTest('--from', store)).toMatchObject({ store: 'absent' });
  await writeFile(store, 'this is no database, by far');
  expect(await selfTest('--from', store)).toMatchObject({ store: 'damaged' });
});

test('a store that cannot be copied for want of room is not taken for a damaged one', async () => {
  const { database } = openDatabase({ clock: systemClock }, store);
  database.run("INSERT INTO early_cancels (id, at) VALUES (hex(randomblob(500000)), 'now')");
  database.close();
  const small = join(directory.path, 'small');
  await mkdir(small);
  const script =
    'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" "$3" $4 --from "$5" --copy "$1/copy.db"';
  const ran = Bun.spawn(
    [
      // A mount of its own that goes with its last process.
      ...['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh'],
      ...[small, process.execPath, join(import.meta.dir, '../../../src/main.ts')],
      ...['upgrade self-test', store],
    ],
    { stdout: 'pipe', stderr: 'pipe' },
  );
  expect({ stderr: await ran.stderr.text(), stdout: await ran.stdout.text() }).toEqual({
    stderr: expect.stringContaining('no space left on the disk [DISK_FULL]'),
    stdout: '',
  });
  expect(await ran.exited).toBe(4);
});

test('settings that it does not understand are told', async () => {
  await mkdir(join(directory.path, 'etc/pipeops-agent'), { recursive: true });
  await writeFile(join(directory.path, 'etc/pipeops-agent/config.yaml'), 'k3s: [');
  const { stdout } = await cliContext({ root: directory.path }).run(
    ...['upgrade', 'self-test', '--from', '/none.db', '--copy', '/copy.db'],
  );
  expect(JSON.parse(stdout)).toMatchObject({ config: expect.stringContaining('config.yaml') });
});
