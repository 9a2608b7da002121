import { Database } from 'bun:sqlite';

/**
 * A copy of a store that others use at the same time, as it is at one moment (SQLite, "VACUUM INTO").
 * @throws Error where it cannot be read as a whole
 */
export function copyDatabase(from: string, to: string): void {
  const database = new Database(from, { readonly: true, strict: true });
  try {
    database.query('VACUUM INTO ?').run(to);
  } finally {
    database.close();
  }
}
