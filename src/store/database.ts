import { Database, SQLiteError } from 'bun:sqlite';
import { renameSync, rmSync } from 'node:fs';
import { AgentError, type ErrorCode, messageOf } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';

/** How long a statement waits for another process (`status`, a backup) to let go, ms. */
const BUSY_TIMEOUT_MS = 5_000;

/** Pages of the write-ahead log after which it is folded back: bounds it to about 4 MB. */
const WAL_PAGES_MAX = 1_000;

/**
 * Steps of the schema, in order; PRAGMA user_version counts how many have run. Never change one
 * that was released: add another.
 */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE commands (
     id TEXT PRIMARY KEY,
     sequence INTEGER NOT NULL,
     type TEXT NOT NULL,
     command TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('accepted', 'running', 'done', 'delivered')),
     attempts INTEGER NOT NULL DEFAULT 0,
     accepted_at TEXT NOT NULL,
     started_at TEXT,
     checkpoint TEXT,
     result TEXT,
     finished_at TEXT
   ) STRICT;
   CREATE INDEX commands_by_state ON commands (state, sequence);
   CREATE TABLE identity (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`,
];

/**
 * Troubles of the machine and not of the store, which is whole and stays where it is
 * (sqlite.org, "Result and Extended Result Codes"; extended ones begin like these).
 */
const MACHINE_TROUBLES: Readonly<Record<string, ErrorCode>> = {
  SQLITE_FULL: 'DISK_FULL',
  SQLITE_BUSY: 'BUSY',
  SQLITE_LOCKED: 'BUSY',
  SQLITE_CANTOPEN: 'FILE_ACCESS',
  SQLITE_READONLY: 'FILE_ACCESS',
  SQLITE_PERM: 'FILE_ACCESS',
  SQLITE_IOERR: 'FILE_ACCESS',
  SQLITE_NOMEM: 'INTERNAL',
};

export interface OpenedDatabase {
  readonly database: Database;
  /** Where the damaged store was put, when a fresh one had to be started. */
  readonly setAsidePath: string | undefined;
}

/**
 * Opens the daemon's database: WAL with synchronous FULL, so that what was committed survives a
 * power cut. A damaged one is kept under another name and a fresh one is started: an agent that
 * works without its past is better than one that does not start.
 * @throws AgentError STORE_CORRUPT when even a fresh one cannot be opened; DISK_FULL, BUSY or
 *   FILE_ACCESS when it is not the store that is to blame
 */
export function openDatabase(deps: { readonly clock: Clock }, path: string): OpenedDatabase {
  try {
    return { database: openChecked(path), setAsidePath: undefined };
  } catch (damage) {
    throwMachineTrouble(path, damage);
    const setAsidePath = setAside(deps.clock, path);
    try {
      return { database: openChecked(path), setAsidePath };
    } catch (cause) {
      throw new AgentError('STORE_CORRUPT', `Cannot open ${path}: ${messageOf(damage)}`, {
        hint: `Check the disk that holds ${path}; the damaged file is kept as ${setAsidePath}`,
        cause,
      });
    }
  }
}

function throwMachineTrouble(path: string, thrown: unknown): void {
  const sqliteCode = thrown instanceof SQLiteError ? (thrown.code ?? '') : '';
  const trouble = Object.entries(MACHINE_TROUBLES).find(([code]) => sqliteCode.startsWith(code));
  if (trouble !== undefined) {
    throw new AgentError(trouble[1], `Cannot open ${path}: ${messageOf(thrown)}`, {
      hint: `Check the space and the permissions where ${path} stands, and who else has it open`,
      cause: thrown,
    });
  }
}

function openChecked(path: string): Database {
  const database = new Database(path, { create: true, strict: true });
  try {
    database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    database.run('PRAGMA journal_mode = WAL');
    database.run('PRAGMA synchronous = FULL');
    database.run(`PRAGMA wal_autocheckpoint = ${WAL_PAGES_MAX}`);
    const check = database.query<{ quick_check: string }, []>('PRAGMA quick_check(1)').get();
    if (check?.quick_check !== 'ok') {
      throw new AgentError('STORE_CORRUPT', `Cannot use ${path}: ${check?.quick_check}`);
    }
    migrate(database);
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

function migrate(database: Database): void {
  const row = database.query<{ user_version: number }, []>('PRAGMA user_version').get();
  const done = row?.user_version ?? 0;
  if (done > MIGRATIONS.length) {
    throw new AgentError('STORE_CORRUPT', `The store was written by a newer agent (step ${done})`);
  }
  MIGRATIONS.slice(done).forEach((sql, index) => {
    database.transaction(() => {
      database.run(sql);
      database.run(`PRAGMA user_version = ${done + index + 1}`);
    })();
  });
}

/** The log and the index of a damaged database belong to it: they move along. */
function setAside(clock: Clock, path: string): string {
  const stamp = clock.now().toISOString().replaceAll(/[:.]/g, '-');
  const setAsidePath = `${path}.corrupt-${stamp}`;
  renameSync(path, setAsidePath);
  for (const suffix of ['-wal', '-shm']) {
    rmSync(`${setAsidePath}${suffix}`, { force: true });
    try {
      renameSync(`${path}${suffix}`, `${setAsidePath}${suffix}`);
    } catch (thrown) {
      if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')) {
        throw thrown;
      }
    }
  }
  return setAsidePath;
}
