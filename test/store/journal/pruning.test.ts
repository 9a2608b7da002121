import type { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemRunSoon } from '../../../src/platform/run-soon.ts';
import { type CommandJournal, commandJournal } from '../../../src/store/journal/commands.ts';
import {
  BATCH_BYTES,
  DELIVERED_BYTES_MAX,
  DELIVERED_KEPT_MAX,
  DELIVERED_KEPT_MS,
} from '../../../src/store/journal/pruning.ts';
import { commandOf, openJournal, resultOf, START } from '../../support/open-journal.ts';
import { tempDirectory } from '../../support/temp-dir.ts';

async function deliver(journal: CommandJournal, id: string, output = id): Promise<void> {
  await journal.accept(commandOf(id));
  await journal.begin(id);
  await journal.finish(id, resultOf(output));
  await journal.delivered(id);
}

async function pruneAll(journal: CommandJournal): Promise<void> {
  while (await journal.prune()) {
    // Until nothing is left to forget.
  }
}

function storedIds(database: Database): readonly unknown[] {
  return database.query('SELECT id FROM commands ORDER BY sequence').values().flat();
}

/** As if results of this size had been delivered: a journal that is opened counts them. */
function putDelivered(database: Database, count: number, result: string, bytes: number): void {
  database.transaction(() => {
    for (let index = 0; index < count; index += 1) {
      database.run(
        `INSERT INTO commands (id, type, state, bytes, accepted_at, finished_at, result)
         VALUES (?, 'scale', 'delivered', ?, ?, ?, ?)`,
        [`c${index}`, bytes, START, START, result],
      );
    }
  })();
}

describe('CommandJournal.prune()', () => {
  test('forgets no more at once than the event loop can bear', async () => {
    using open = openJournal();
    const { clock, database } = open;
    putDelivered(database, 10, '{}', BATCH_BYTES / 4);
    clock.advance(DELIVERED_KEPT_MS + 1);
    const journal = commandJournal({ database, clock, runSoon: systemRunSoon });
    const left = [];
    for (let more = true; more; ) {
      more = await journal.prune();
      left.push(storedIds(database).length);
    }
    expect(left).toEqual([6, 2, 0]);
  });

  test('makes each result slim once, however long its error is', async () => {
    using open = openJournal();
    const { clock, database } = open;
    const failed = { ...resultOf('x'), success: false, error: '\u0001'.repeat(16_000) };
    putDelivered(database, 3, JSON.stringify(failed), DELIVERED_BYTES_MAX);
    const journal = commandJournal({ database, clock, runSoon: systemRunSoon });
    await pruneAll(journal);
    const texts = database.query('SELECT result FROM commands').values().flat().map(String);
    expect(texts.map((text) => JSON.parse(text).error.length)).toEqual([1_000, 1_000, 1_000]);
  });

  test('forgets a command after its time, never one whose result was not taken', async () => {
    using open = openJournal();
    const { clock, database, journal } = open;
    await deliver(journal, 'old');
    await journal.accept(commandOf('waiting'));
    await journal.accept(commandOf('undelivered'));
    await journal.finish('undelivered', resultOf('undelivered'));

    clock.advance(DELIVERED_KEPT_MS);
    await deliver(journal, 'at-the-limit');
    await pruneAll(journal);
    expect(storedIds(database)).toEqual(['old', 'waiting', 'undelivered', 'at-the-limit']);

    clock.advance(1);
    await pruneAll(journal);
    expect(storedIds(database)).toEqual(['waiting', 'undelivered', 'at-the-limit']);
  });

  test('forgets the oldest when there are too many', async () => {
    using open = openJournal();
    const { clock, database } = open;
    putDelivered(database, DELIVERED_KEPT_MAX + 500, '{}', 2);
    await pruneAll(commandJournal({ database, clock, runSoon: systemRunSoon }));
    const ids = storedIds(database);
    expect({ count: ids.length, first: ids[0] }).toEqual({
      count: DELIVERED_KEPT_MAX,
      first: 'c500',
    });
  });

  test('keeps of the oldest large results only how they ended, and gives the disk back', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    using open = openJournal(path);
    const { database, journal } = open;
    const output = 'x'.repeat(4_000_000);
    const count = Math.ceil(DELIVERED_BYTES_MAX / output.length) + 2;
    for (let index = 0; index < count; index += 1) {
      await deliver(journal, `c${index}`, output);
    }
    const checkpointed = () => {
      database.run('PRAGMA wal_checkpoint(TRUNCATE)');
      return stat(path);
    };
    const before = (await checkpointed()).size;
    await pruneAll(journal);
    const after = (await checkpointed()).size;
    expect(before - after).toBeGreaterThan(4_000_000);

    await Promise.all(['c0', `c${count - 1}`].map((id) => journal.accept(commandOf(id))));
    expect(journal.pending(10)).toEqual([
      {
        commandId: 'c0',
        result: { ...resultOf(''), metadata: { ...resultOf('').metadata, truncated: true } },
      },
      { commandId: `c${count - 1}`, result: resultOf(output) },
    ]);
  });
});
