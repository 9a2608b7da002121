import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { tempDirectory } from './temp-dir.ts';

/** Under this name k3s keeps the keys of the cluster, by the password in its token. */
export function identityRow(password: string): string {
  const hash = new Bun.CryptoHasher('sha256').update(password).digest('hex');
  return `/bootstrap/${hash.slice(0, 12)}`;
}

/** A database in the shape of kine's. @param names of its rows */
export async function kineDatabase(...names: readonly string[]): Promise<Uint8Array> {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'state.db');
  using database = new Database(path);
  database.run('CREATE TABLE kine (id INTEGER PRIMARY KEY, name TEXT, deleted INTEGER)');
  for (const name of names) {
    database.run('INSERT INTO kine (name, deleted) VALUES (?, 0)', [name]);
  }
  database.close();
  return await Bun.file(path).bytes();
}
