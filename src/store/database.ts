import { Database } from 'bun:sqlite';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AgentError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { stateNewer } from '../core/state-newer.ts';
import { troubleOf } from '../core/trouble.ts';
import { machineTrouble } from './trouble.ts';

/** How long a statement waits for another process (`status`, a backup) to let go, ms. */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Pages of the write-ahead log after which the commit that reaches them folds the log back. They
 * are about 1 MB, so that this commit takes a third of the time that it takes at SQLite's 1 000.
 */
const WAL_PAGES_MAX = 250;
/** What a longer write-ahead log is cut to when it has been folded back, bytes. */
const WAL_BYTES_KEPT = 4 * 1024 * 1024;

/** Newest damaged stores that are kept: a bad disk must not fill up with them. */
const SET_ASIDE_KEPT = 3;
const SET_ASIDE_SUFFIX = '.corrupt-';

interface Migration {
  readonly sql: string;
  /**
   * How many steps a program must know to use the store after this step. A step that only adds
   * keeps the number of the step before it: older programs ignore what they do not know.
   */
  readonly oldestReader: number;
}

/**
 * Steps of the schema, in order. Never change one that was released: add another, and let it only
 * add.
 *
 * PRAGMA user_version holds the oldest reader that may use the store. `identity` holds the number
 * of steps that have run. If that row is missing, use `user_version`: the first two steps were
 * counted there.
 */
export const MIGRATIONS: readonly Migration[] = [
  {
    oldestReader: 1,
    sql: `CREATE TABLE commands (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL UNIQUE,
     type TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('accepted', 'running', 'done', 'delivered')),
     bytes INTEGER NOT NULL, -- of the command while it is open, then of its result
     attempts INTEGER NOT NULL DEFAULT 0,
     accepted_at TEXT NOT NULL,
     started_at TEXT,
     cancelled_at TEXT,
     finished_at TEXT,
     command TEXT,
     checkpoint TEXT,
     result TEXT
   ) STRICT;
   CREATE INDEX commands_by_state ON commands (state, sequence, bytes);
   CREATE TABLE early_cancels (id TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT;
   CREATE TABLE identity (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`,
  },
  {
    oldestReader: 2,
    sql: `CREATE TABLE session_memory (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     control_plane_url TEXT NOT NULL,
     cluster_id TEXT NOT NULL,
     cluster_uuid TEXT NOT NULL,
     gateway_url TEXT, -- of versions that kept one
     supports_commands INTEGER NOT NULL,
     supports_status_reports INTEGER NOT NULL,
     supports_flow_control INTEGER NOT NULL,
     service_token_hash TEXT NOT NULL
   ) STRICT;`,
  },
  {
    oldestReader: 2,
    sql: `ALTER TABLE commands ADD COLUMN text_set INTEGER; -- its long texts, where it has some
   CREATE TABLE command_texts (
     position INTEGER PRIMARY KEY AUTOINCREMENT,
     text_set INTEGER NOT NULL,
     path TEXT NOT NULL, -- where in the command, JSON
     piece TEXT NOT NULL -- JSON
   ) STRICT;
   CREATE INDEX command_texts_by_set ON command_texts (text_set, position);`,
  },
  {
    oldestReader: 2,
    // 0: only this server knows it; 1: the cluster has a record of it; 2: the cluster knows that it was
    // delivered.
    sql: `ALTER TABLE commands ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
   CREATE INDEX commands_to_note ON commands (sequence) WHERE state = 'delivered' AND shared < 2;`,
  },
];

const STEPS_RUN = 'schema_steps';

export interface OpenedDatabase {
  readonly database: Database;
  /** Where the damaged store was put, when a fresh one had to be started. */
  readonly setAsidePath: string | undefined;
}

/**
 * Opens the daemon's database: WAL with synchronous FULL, so that what was committed survives a
 * power cut. A damaged one is kept under another name and a fresh one is started: an agent that
 * works without its past is better than one that does not start. A store of a newer agent is not
 * damaged: it is used, or left exactly as it is.
 * @throws AgentError STATE_NEWER when it needs a newer agent; STORE_CORRUPT when even a fresh one
 *   cannot be opened; DISK_FULL, BUSY or FILE_ACCESS when the store is not to blame
 */
export function openDatabase(
  deps: { readonly clock: Clock },
  path: string,
  migrations = MIGRATIONS,
): OpenedDatabase {
  const open = () => openChecked(deps.clock, path, migrations);
  try {
    return { database: open(), setAsidePath: undefined };
  } catch (damage) {
    const trouble = machineTrouble('open', path, damage) ?? newerState(damage);
    if (trouble !== undefined) {
      throw trouble;
    }
    const setAsidePath = setAside(deps.clock, path);
    try {
      return { database: open(), setAsidePath };
    } catch (cause) {
      throw new AgentError('STORE_CORRUPT', `Cannot open ${path}: ${troubleOf(damage)}`, {
        hint: `Check the disk that holds ${path}; the damaged file is kept as ${setAsidePath}`,
        cause,
      });
    }
  }
}

function newerState(thrown: unknown): AgentError | undefined {
  return thrown instanceof AgentError && thrown.code === 'STATE_NEWER' ? thrown : undefined;
}

function openChecked(clock: Clock, path: string, migrations: readonly Migration[]): Database {
  const database = new Database(path, { create: true, strict: true });
  try {
    database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    checkReader(database, path, migrations.length); // Before anything is changed.
    database.run('PRAGMA auto_vacuum = INCREMENTAL'); // Before the first table, or never.
    database.run('PRAGMA journal_mode = WAL');
    database.run('PRAGMA synchronous = FULL');
    database.run(`PRAGMA wal_autocheckpoint = ${WAL_PAGES_MAX}`);
    database.run(`PRAGMA journal_size_limit = ${WAL_BYTES_KEPT}`);
    const check = database.query<{ quick_check: string }, []>('PRAGMA quick_check(1)').get();
    if (check?.quick_check !== 'ok') {
      throw new AgentError('STORE_CORRUPT', `Cannot use ${path}: ${check?.quick_check}`, {
        hint: 'Look at the disk; the damaged database is kept beside a fresh one',
      });
    }
    migrate(database, migrations, () => noteRebirth(clock, database, path));
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/**
 * ISO time at which this store began in place of a damaged one; undefined when none was damaged.
 * Older commands may have been accepted, and run, before that.
 */
export function storeRebornAt(database: Database): string | undefined {
  return (
    database
      .query<{ value: string }, []>("SELECT value FROM identity WHERE name = 'store_reborn_at'")
      .get()?.value ?? undefined
  );
}

/** Writes something, to learn whether the disk takes it. */
export function probeDisk(database: Database, now: Date): void {
  database.run("INSERT OR REPLACE INTO identity (name, value) VALUES ('disk_probed_at', ?)", [
    now.toISOString(),
  ]);
}

/** Goes by what stands beside the store, so that a crash between the two steps loses nothing. */
function noteRebirth(clock: Clock, database: Database, path: string): void {
  if (setAsideNames(path).length > 0) {
    database.run("INSERT INTO identity (name, value) VALUES ('store_reborn_at', ?)", [
      clock.now().toISOString(),
    ]);
  }
}

/** @throws AgentError STATE_NEWER */
function checkReader(database: Database, path: string, stepsKnown: number): void {
  const oldestReader = userVersion(database);
  if (oldestReader > stepsKnown) {
    throw stateNewer(
      path,
      { reader: oldestReader, known: stepsKnown },
      'the identity of the agent and its commands are all there',
    );
  }
}

function migrate(database: Database, migrations: readonly Migration[], onNew: () => void): void {
  const done = stepsRun(database);
  for (const [index, { sql, oldestReader }] of [...migrations.entries()].slice(done)) {
    database.transaction(() => {
      database.run(sql);
      database.run('INSERT OR REPLACE INTO identity (name, value) VALUES (?, ?)', [
        STEPS_RUN,
        String(index + 1),
      ]);
      database.run(`PRAGMA user_version = ${oldestReader}`);
      if (index === 0) {
        onNew();
      }
    })();
  }
}

function stepsRun(database: Database): number {
  const counted = userVersion(database);
  if (counted === 0) {
    return 0; // Nothing has run: there is no table yet.
  }
  const row = database
    .query<{ value: string }, [string]>('SELECT value FROM identity WHERE name = ?')
    .get(STEPS_RUN);
  return Math.max(counted, Number(row?.value ?? 0));
}

function userVersion(database: Database): number {
  const row = database.query<{ user_version: number }, []>('PRAGMA user_version').get();
  return row?.user_version ?? 0;
}

/** Names of the damaged stores that are kept, oldest first. */
function setAsideNames(path: string): readonly string[] {
  const prefix = `${basename(path)}${SET_ASIDE_SUFFIX}`;
  return path === ':memory:'
    ? []
    : readdirSync(dirname(path))
        .filter((name) => name.startsWith(prefix) && !/-(wal|shm)$/.test(name))
        .sort();
}

/** The log and the index of a damaged database belong to it: they move along. */
function setAside(clock: Clock, path: string): string {
  const stamp = clock.now().toISOString().replaceAll(/[:.]/g, '-');
  const setAsidePath = `${path}${SET_ASIDE_SUFFIX}${stamp}`;
  for (const name of setAsideNames(path).slice(0, -(SET_ASIDE_KEPT - 1))) {
    for (const suffix of ['', '-wal', '-shm']) {
      rmSync(join(dirname(path), `${name}${suffix}`), { force: true });
    }
  }
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
