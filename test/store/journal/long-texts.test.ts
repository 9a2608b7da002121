/** Commands whose texts are longer than one value of the store shall be. */
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { RunSoon } from '../../../src/core/ports.ts';
import { systemRunSoon } from '../../../src/platform/run-soon.ts';
import { MANIFEST_LIMIT_BYTES } from '../../../src/protocol/commands/apply.ts';
import type { Command } from '../../../src/protocol/rest.ts';
import { HELD_BYTES_MAX } from '../../../src/store/journal/changes.ts';
import { type CommandJournal, commandJournal } from '../../../src/store/journal/commands.ts';
import { PIECE_CHARS } from '../../../src/store/journal/long-texts.ts';
import { failureOf } from '../../support/failure-of.ts';
import { commandOf, openJournal, resultOf } from '../../support/open-journal.ts';
import { tempDirectory } from '../../support/temp-dir.ts';

const large = (id: string, manifest: string) =>
  commandOf(id, { type: 'apply', payload: { manifest } });
const MANIFEST = 'line: "of text"\n'.repeat(MANIFEST_LIMIT_BYTES / 16);

async function kept(journal: CommandJournal, id: string): Promise<Command | undefined> {
  const entry = journal.find(id);
  return entry === undefined ? undefined : (await journal.whole(entry)).command;
}

const piecesIn = ({ database }: Pick<ReturnType<typeof openJournal>, 'database'>) =>
  database.query<{ count: number }, []>('SELECT count(*) AS count FROM command_texts').get()?.count;

describe('a command with long texts', () => {
  test('is kept whole in small pieces, until it has a result', async () => {
    using open = openJournal();
    const { journal, database } = open;
    expect(await journal.accept(large('c1', MANIFEST))).toBe('accepted');
    expect(await journal.accept(commandOf('c2'))).toBe('accepted');
    expect(journal.nextOpen(0)?.command.payload).toEqual({ manifest: '' });
    expect(await kept(journal, 'c1')).toEqual(large('c1', MANIFEST));
    expect(await kept(journal, 'c2')).toEqual(commandOf('c2'));
    const longest = database
      .query<{ bytes: number }, []>('SELECT max(length(piece)) AS bytes FROM command_texts')
      .get();
    expect(longest?.bytes).toBeLessThan(2 * PIECE_CHARS);
    await journal.begin('c1');
    await journal.finish('c1', resultOf('done'));
    expect({ pieces: piecesIn(open), pending: journal.pending(10) }).toEqual({
      pieces: 0,
      pending: [{ commandId: 'c1', result: resultOf('done') }],
    });
  });

  test('keeps every character, wherever the text stands', async () => {
    using open = openJournal();
    const { journal } = open;
    // An emoji across each edge of a piece; what SQLite and UTF-8 cannot keep as it is.
    const odd = `${'x'.repeat(PIECE_CHARS - 1)}😀${'\u0000\ud800"\\\n\u2028é'.repeat(PIECE_CHARS)}`;
    const payload = {
      ...{ a: odd, deep: [{ b: ['short', odd] }, odd] },
      ['x'.repeat(10)]: JSON.parse(`{"__proto__": ${JSON.stringify(odd)}}`),
    };
    const command = commandOf('c1', { payload });
    await journal.accept(command);
    expect(JSON.stringify(await kept(journal, 'c1'))).toBe(JSON.stringify(command));
  });

  test('is taken once, and is known again', async () => {
    using open = openJournal();
    const { journal } = open;
    const twice = [large('c1', MANIFEST), large('c1', MANIFEST.toUpperCase())];
    expect(await Promise.all(twice.map((each) => journal.accept(each)))).toEqual([
      'accepted',
      'duplicate',
    ]);
    // Beside it a short one of the same id, which is quicker.
    const mixed = [large('c2', MANIFEST), commandOf('c2')];
    expect(await Promise.all(mixed.map((each) => journal.accept(each)))).toEqual([
      'duplicate',
      'accepted',
    ]);
    expect(await kept(journal, 'c1')).toEqual(large('c1', MANIFEST));
    expect(piecesIn(open)).toBe(MANIFEST_LIMIT_BYTES / PIECE_CHARS);
  });

  test('is not taken where there is no room for all of it', async () => {
    using open = openJournal();
    const { journal } = open;
    const fit = Math.floor(HELD_BYTES_MAX / MANIFEST_LIMIT_BYTES) - 1;
    const outcomes: string[] = [];
    for (let index = 0; index <= fit + 1; index += 1) {
      outcomes.push(await journal.accept(large(`c${index}`, MANIFEST)));
    }
    expect(outcomes.filter((each) => each === 'full').length).toBeGreaterThan(0);
    expect(outcomes.slice(0, fit)).toEqual(Array.from({ length: fit }, () => 'accepted'));
  }, 60_000);

  test('leaves nothing behind when the disk takes only some of it', async () => {
    using open = openJournal();
    const { journal, database } = open;
    database.run('PRAGMA max_page_count = 300');
    expect((await failureOf(() => journal.accept(large('c1', MANIFEST)))).code).toBe('DISK_FULL');
    expect({ pieces: piecesIn(open), entry: journal.nextOpen(0) }).toEqual({
      pieces: 0,
      entry: undefined,
    });
    database.run('PRAGMA max_page_count = 1000000');
    expect(await journal.accept(large('c1', MANIFEST))).toBe('accepted');
  });

  test('that was half written at a crash is forgotten at the next start', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'journal.db');
    let turns = 0;
    const dying = Promise.withResolvers<void>();
    // After some commits nothing runs any more.
    const runSoon: RunSoon = (work) => {
      turns += 1;
      if (turns <= 10) {
        systemRunSoon(work);
      } else {
        dying.resolve();
      }
    };
    {
      using open = openJournal(path, runSoon);
      void open.journal.accept(large('c1', MANIFEST));
      await dying.promise;
      expect(piecesIn(open)).toBeGreaterThan(0);
    }
    using open = openJournal(path);
    expect({ pieces: piecesIn(open), entry: open.journal.nextOpen(0) }).toEqual({
      pieces: 0,
      entry: undefined,
    });
  });

  test('means nothing to an older agent, which would do it without them', async () => {
    using open = openJournal();
    await open.journal.accept(large('c1', MANIFEST));
    const row = open.database
      .query<{ type: string; command: string }, []>('SELECT type, command FROM commands')
      .get();
    expect([row?.type, JSON.parse(row?.command ?? '').type]).toEqual(['apply', 'with long texts']);
  });

  test('outlives a restart', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'journal.db');
    {
      using open = openJournal(path);
      await open.journal.accept(large('c1', MANIFEST));
    }
    using open = openJournal(path);
    const { database, clock } = open;
    const again = commandJournal({ database, clock, runSoon: systemRunSoon });
    await again.accept(large('c2', 'y'.repeat(PIECE_CHARS + 1)));
    expect(await kept(again, 'c1')).toEqual(large('c1', MANIFEST));
  });
});
