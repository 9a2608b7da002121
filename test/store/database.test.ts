import type { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MIGRATIONS, openDatabase } from '../../src/store/database.ts';
import { failureOf } from '../support/failure-of.ts';
import { manualClock } from '../support/manual-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const clock = manualClock('2026-01-02T03:04:05.678Z');
const SET_ASIDE = 'agent.db.corrupt-2026-01-02T03-04-05-678Z';

function insert(database: Database, id: string): void {
  database.run(
    `INSERT INTO commands (id, type, state, bytes, accepted_at, command)
     VALUES (?, 'deploy', 'accepted', 2, '2026-01-01T00:00:00Z', '{}')`,
    [id],
  );
}

function ids(database: Database): readonly unknown[] {
  return database.query('SELECT id FROM commands ORDER BY id').all();
}

describe('openDatabase()', () => {
  test('makes a store that survives a power cut, with the whole schema', async () => {
    await using directory = await tempDirectory();
    using database = openDatabase({ clock }, join(directory.path, 'agent.db')).database;

    const pragma = (name: string) => Object.values(database.query(`PRAGMA ${name}`).get() ?? {})[0];
    expect({
      journal_mode: pragma('journal_mode'),
      synchronous: pragma('synchronous'),
      busy_timeout: pragma('busy_timeout'),
      wal_autocheckpoint: pragma('wal_autocheckpoint'),
      auto_vacuum: pragma('auto_vacuum'),
      user_version: pragma('user_version'),
      tables: database.query("SELECT name FROM sqlite_schema WHERE type = 'table'").values().flat(),
    }).toEqual({
      journal_mode: 'wal',
      synchronous: 2,
      busy_timeout: 5_000,
      wal_autocheckpoint: 250,
      auto_vacuum: 2,
      user_version: 2,
      tables: [
        'commands',
        'sqlite_sequence',
        'early_cancels',
        'identity',
        'session_memory',
        'command_texts',
      ],
    });
  });

  test('keeps what it holds when it is opened again', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    const first = openDatabase({ clock }, path);
    insert(first.database, 'c1');
    first.database.close();

    const again = openDatabase({ clock }, path);
    using database = again.database;
    expect({ setAsidePath: again.setAsidePath, ids: ids(database) }).toEqual({
      setAsidePath: undefined,
      ids: [{ id: 'c1' }],
    });
  });

  test('refuses a state that no command can have', async () => {
    await using directory = await tempDirectory();
    using database = openDatabase({ clock }, join(directory.path, 'agent.db')).database;
    insert(database, 'c1');
    expect(() => database.run("UPDATE commands SET state = 'lost'")).toThrow('CHECK constraint');
  });

  test('puts a file that is no database aside, unchanged, and starts afresh', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    const damaged = Buffer.from(seededRandom(3).bytes(10_000));
    await Bun.write(path, damaged);

    const opened = openDatabase({ clock }, path);
    using database = opened.database;
    insert(database, 'c1');

    const setAsidePath = join(directory.path, SET_ASIDE);
    expect({ setAsidePath: opened.setAsidePath, ids: ids(database) }).toEqual({
      setAsidePath,
      ids: [{ id: 'c1' }],
    });
    expect(await readFile(setAsidePath)).toEqual(damaged);
  });

  test('finds a database of which the end is lost', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    const whole = openDatabase({ clock }, path).database;
    whole.transaction(() => {
      for (let index = 0; index < 500; index += 1) {
        insert(whole, `command-${index}`);
      }
    })();
    whole.close();
    await truncate(path, 8_192);

    const opened = openDatabase({ clock }, path);
    using database = opened.database;
    expect({ setAsidePath: opened.setAsidePath, ids: ids(database) }).toEqual({
      setAsidePath: join(directory.path, SET_ASIDE),
      ids: [],
    });
  });

  test('moves the log of a damaged database along when another process has it open', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    using other = openDatabase({ clock }, path).database;
    insert(other, 'c1');
    other.run('PRAGMA wal_checkpoint');
    await writeFile(path, Buffer.alloc(8_192, 'x'));
    insert(other, 'c2');

    const opened = openDatabase({ clock }, path);
    using database = opened.database;
    insert(database, 'c3');
    expect(ids(database)).toEqual([{ id: 'c3' }]);
    expect((await readdir(directory.path)).sort()).toEqual([
      'agent.db',
      'agent.db-shm',
      'agent.db-wal',
      SET_ASIDE,
      `${SET_ASIDE}-shm`,
      `${SET_ASIDE}-wal`,
    ]);
  });

  test('keeps the newest damaged stores only', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    for (let day = 1; day <= 5; day += 1) {
      const day0 = manualClock(`2026-01-0${day}T00:00:00.000Z`);
      await writeFile(path, `damaged on day ${day} `.repeat(1_000));
      openDatabase({ clock: day0 }, path).database.close();
    }
    expect(
      (await readdir(directory.path)).filter((name) => /corrupt-.*Z$/.test(name)).sort(),
    ).toEqual([3, 4, 5].map((day) => `agent.db.corrupt-2026-01-0${day}T00-00-00-000Z`));
  });

  test('goes on with a store to which a newer agent has only added', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    const added = {
      sql: `ALTER TABLE commands ADD COLUMN signed_by TEXT;
        CREATE TABLE audit (at TEXT NOT NULL) STRICT;`,
      oldestReader: 2,
    };
    const newer = openDatabase({ clock }, path, [...MIGRATIONS, added]).database;
    insert(newer, 'c1');
    newer.run("UPDATE commands SET signed_by = 'root'");
    newer.run("INSERT INTO audit VALUES ('2026-01-01')");
    newer.close();

    const older = openDatabase({ clock }, path);
    insert(older.database, 'c2');
    older.database.close();

    const again = openDatabase({ clock }, path, [...MIGRATIONS, added]);
    using database = again.database;
    expect({
      setAside: [older.setAsidePath, again.setAsidePath],
      commands: database.query('SELECT id, signed_by FROM commands ORDER BY id').all(),
      audit: database.query('SELECT * FROM audit').all(),
    }).toEqual({
      setAside: [undefined, undefined],
      commands: [
        { id: 'c1', signed_by: 'root' },
        { id: 'c2', signed_by: null },
      ],
      audit: [{ at: '2026-01-01' }],
    });
  });

  test('goes on with a store of the first releases, which counted their steps elsewhere', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    const earlier = openDatabase({ clock }, path, MIGRATIONS.slice(0, 2)).database;
    insert(earlier, 'c1');
    earlier.run("DELETE FROM identity WHERE name = 'schema_steps'");
    earlier.close();

    const opened = openDatabase({ clock }, path);
    using database = opened.database;
    expect({ setAsidePath: opened.setAsidePath, ids: ids(database) }).toEqual({
      setAsidePath: undefined,
      ids: [{ id: 'c1' }],
    });
  });

  test('leaves a store that needs a newer agent exactly as it is, and says what to do', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    const known = MIGRATIONS.length;
    const broken = { sql: 'DROP TABLE early_cancels', oldestReader: known + 1 };
    const newer = openDatabase({ clock }, path, [...MIGRATIONS, broken]).database;
    insert(newer, 'c1');
    newer.close();
    const before = await readFile(path);

    for (const _ of ['at the first start', 'at every further one']) {
      const { code, exitCode, hint, details } = await failureOf(() =>
        openDatabase({ clock }, path),
      );
      expect({ code, exitCode, hint, details }).toEqual({
        code: 'STATE_NEWER',
        exitCode: 10,
        hint: expect.stringMatching(/^Install the newer version again\. Nothing was changed/),
        details: { path, needs_reader: known + 1, reader: known },
      });
    }
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(directory.path)).toEqual(['agent.db']);

    using database = openDatabase({ clock }, path, [...MIGRATIONS, broken]).database;
    expect(ids(database)).toEqual([{ id: 'c1' }]);
  });

  test('steps of the schema only add, or name themselves as the oldest reader', () => {
    const adds = /^(CREATE (TABLE|INDEX)|ALTER TABLE \w+ ADD( COLUMN)?) /i;
    MIGRATIONS.forEach(({ sql, oldestReader }, index) => {
      const statements = sql
        .replaceAll(/--.*$/gm, '')
        .split(';')
        .filter((each) => each.trim() !== '');
      const onlyAdds = statements.every((each) => adds.test(each.trim()));
      const before = MIGRATIONS[index - 1]?.oldestReader ?? 1;
      expect([index, oldestReader]).toEqual([
        index,
        // Who knows one step only ran the second once more, and took that for damage.
        onlyAdds && index > 1 ? before : index + 1,
      ]);
    });
  });

  test('leaves everything in place when the directory is missing', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'missing', 'agent.db');
    const { code, message } = await failureOf(() => openDatabase({ clock }, path));
    expect({ code, message }).toEqual({
      code: 'FILE_ACCESS',
      message: `Cannot open ${path}: it cannot be opened`,
    });
  });

  test('leaves what stands in its place and is no file', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    await mkdir(path);
    expect((await failureOf(() => openDatabase({ clock }, path))).code).toBe('FILE_ACCESS');
    expect(await readdir(directory.path)).toEqual(['agent.db']);
  });
});

test('a full disk is told from one that fails, and named by its path', async () => {
  await using directory = await tempDirectory();
  const script = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$1"';
  const opened = Bun.spawn(
    // A mount of its own that goes with its last process.
    ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh'].concat(
      directory.path,
      process.execPath,
      join(import.meta.dir, 'full-disk-open.ts'),
    ),
    { stdout: 'pipe', stderr: 'inherit' },
  );
  const path = join(directory.path, 'agent.db');
  expect(await opened.stdout.json()).toEqual({
    code: 'DISK_FULL',
    message: `Cannot open ${path}: no space left on the disk`,
    hint: `Free some space on the file system of ${path}; the agent then goes on by itself`,
  });
  expect(await opened.exited).toBe(0);
});
