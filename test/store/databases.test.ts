import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { systemDatabases } from '../../src/store/databases.ts';
import { failureOf } from '../support/failure-of.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';

const ROW = '/bootstrap/0123456789ab';
const databases = systemDatabases('/');
let directory: TempDirectory;
let live: Database;
const at = (name: string) => join(directory.path, name);
beforeEach(async () => {
  directory = await tempDirectory();
  live = new Database(at('state.db'));
  // As kine has it: a log of writes beside the database.
  live.run('PRAGMA journal_mode = WAL');
  live.run('CREATE TABLE kine (id INTEGER PRIMARY KEY, name TEXT, deleted INTEGER, value BLOB)');
  add(ROW);
});
afterEach(async () => {
  live.close();
  await directory[Symbol.asyncDispose]();
});

function add(name: string, deleted = 0): void {
  live.run('INSERT INTO kine (name, deleted, value) VALUES (?, ?, ?)', [
    name,
    deleted,
    'x'.repeat(5_000),
  ]);
}

test('a copy has everything until now, while its owner has it open and writes on', async () => {
  for (let index = 0; index < 500; index += 1) {
    add(`/registry/pods/${index}`);
  }
  live.run('BEGIN IMMEDIATE');
  add('/registry/pods/not-committed');
  await databases.copy(at('state.db'), at('copy'));
  live.run('COMMIT');
  using copy = new Database(at('copy'), { readonly: true });
  expect(copy.query('SELECT count(*) AS n FROM kine').get()).toEqual({ n: 501 });
  expect(await databases.problem(at('copy'), ROW)).toBeUndefined();
});

test('a copy without the keys of the cluster, or with those of another token, is none', async () => {
  await databases.copy(at('state.db'), at('copy'));
  expect(await databases.problem(at('copy'), '/bootstrap/other')).toBe(
    'it has no /bootstrap/other',
  );
  add(ROW, 1);
  await databases.copy(at('state.db'), at('later'));
  expect(await databases.problem(at('later'), ROW)).toBe(`it has no ${ROW}`);
});

test('a damaged copy is found', async () => {
  for (let index = 0; index < 500; index += 1) {
    add(`/registry/pods/${index}`);
  }
  await databases.copy(at('state.db'), at('copy'));
  const bytes = Buffer.from(await Bun.file(at('copy')).bytes());
  await Bun.write(
    at('copy'),
    Buffer.concat([bytes.subarray(0, 40_000), Buffer.alloc(8_192, 0xaa), bytes.subarray(48_192)]),
  );
  expect(await databases.problem(at('copy'), ROW)).toBeString();
  await Bun.write(at('copy'), 'no database at all, but long enough to be read as one'.repeat(100));
  expect(await databases.problem(at('copy'), ROW)).toBe('SQLite cannot read it: SQLITE_NOTADB');
});

test('what is not there, and what is there already, is told', async () => {
  expect(await failureOf(() => databases.copy(at('missing'), at('copy')))).toMatchObject({
    code: 'FILE_ACCESS',
  });
  await databases.copy(at('state.db'), at('copy'));
  expect(await failureOf(() => databases.copy(at('state.db'), at('copy')))).toMatchObject({
    code: 'STORE_CORRUPT',
  });
});
