import { Database, SQLiteError } from 'bun:sqlite';
import { AgentError } from '../core/errors.ts';
import type { Databases } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';
import { machineTrouble } from './trouble.ts';

/** A copy may wait so long for a writer. */
const BUSY_TIMEOUT_MS = 30_000;

/**
 * The real Databases. The calls do not give way to anything else while they run: they are for
 * processes that do one thing.
 * @param root `/` in production
 */
export function systemDatabases(root: string): Databases {
  const at = (path: string) => (root === '/' ? path : `${root}${path}`);
  return {
    copy: async (from, to) => {
      using database = opened(at(from));
      try {
        database.query('VACUUM INTO ?').run(at(to));
      } catch (cause) {
        throw failure('copy', from, cause);
      }
    },
    problem: async (path, row) => {
      using database = opened(at(path));
      try {
        return problemOf(database, row);
      } catch (cause) {
        return `SQLite cannot read it: ${codeOf(cause)}`;
      }
    },
  };
}

function opened(path: string): Database {
  try {
    const database = new Database(path, { readonly: true });
    database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    return database;
  } catch (cause) {
    throw failure('open', path, cause);
  }
}

function problemOf(database: Database, row: string): string | undefined {
  const checked = database
    .query<{ integrity_check: string }, []>('PRAGMA integrity_check(1)')
    .get();
  if (checked?.integrity_check !== 'ok') {
    return checked?.integrity_check ?? 'SQLite does not say that it is whole';
  }
  const newest = database
    .query<{ deleted: number }, [string]>(
      'SELECT deleted FROM kine WHERE name = ? ORDER BY id DESC LIMIT 1',
    )
    .get(row);
  return newest === null || newest.deleted !== 0 ? `it has no ${row}` : undefined;
}

function failure(action: string, path: string, cause: unknown): AgentError {
  return (
    machineTrouble(action, path, cause) ??
    new AgentError('STORE_CORRUPT', `Cannot ${action} ${path}: SQLite says ${codeOf(cause)}`, {
      hint: 'See what k3s says of its data: journalctl -u k3s',
      cause,
    })
  );
}

function codeOf(cause: unknown): string {
  return cause instanceof SQLiteError ? (cause.code ?? 'nothing') : troubleOf(cause);
}
