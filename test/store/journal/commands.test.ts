import { describe, expect, test } from 'bun:test';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemRunSoon } from '../../../src/platform/run-soon.ts';
import { HELD_BYTES_MAX, HELD_COMMANDS_MAX } from '../../../src/store/journal/changes.ts';
import {
  CHECKPOINT_BYTES_MAX,
  CLOCKS_APART_MS,
  type CommandJournal,
  commandJournal,
  PENDING_BYTES_MAX,
} from '../../../src/store/journal/commands.ts';
import {
  EARLY_CANCEL_KEPT_MS,
  EARLY_CANCELS_MAX,
} from '../../../src/store/journal/early-cancels.ts';
import { failureOf } from '../../support/failure-of.ts';
import {
  commandOf,
  openEntries,
  openJournal,
  resultOf,
  START,
} from '../../support/open-journal.ts';
import { tempDirectory } from '../../support/temp-dir.ts';

async function run(journal: CommandJournal, id: string): Promise<void> {
  await journal.accept(commandOf(id));
  await journal.begin(id);
  await journal.finish(id, resultOf(id));
}

const pendingIds = (journal: CommandJournal) => journal.pending(50).map((each) => each.commandId);

describe('commandJournal()', () => {
  test('leads a command from acceptance to delivery', async () => {
    using open = openJournal();
    const { clock, journal } = open;
    const entry = { sequence: 1, command: commandOf('c1'), textSet: undefined, cancelled: false };

    expect(await journal.accept(commandOf('c1'))).toBe('accepted');
    expect(journal.counts()).toEqual({ accepted: 1, running: 0, undelivered: 0 });
    expect(openEntries(journal)).toEqual([
      { ...entry, state: 'accepted', attempts: 0, startedAt: undefined, checkpoint: undefined },
    ]);

    clock.advance(1_000);
    expect(await journal.begin('c1')).toBe(1);
    await journal.checkpoint('c1', [{ uid: 'u1' }]);
    expect(journal.counts()).toEqual({ accepted: 0, running: 1, undelivered: 0 });
    expect(journal.find('c1')).toEqual({
      ...entry,
      state: 'running',
      attempts: 1,
      startedAt: '2026-01-01T00:00:01.000Z',
      checkpoint: [{ uid: 'u1' }],
    });

    await journal.finish('c1', resultOf('Scaled'));
    expect(journal.counts()).toEqual({ accepted: 0, running: 0, undelivered: 1 });
    expect(openEntries(journal)).toEqual([]);
    expect(journal.pending(10)).toEqual([{ commandId: 'c1', result: resultOf('Scaled') }]);

    await journal.delivered('c1');
    expect(journal.counts()).toEqual({ accepted: 0, running: 0, undelivered: 0 });
    expect(journal.pending(10)).toEqual([]);
  });

  test('counts attempts and keeps the moment of the first one', async () => {
    using open = openJournal();
    const { clock, journal } = open;
    await journal.accept(commandOf('c1'));
    expect([await journal.begin('c1'), await journal.begin('c1')]).toEqual([1, 2]);
    clock.advance(60_000);
    await journal.begin('c1');
    expect(
      openEntries(journal).map(({ attempts, startedAt }) => ({ attempts, startedAt })),
    ).toEqual([{ attempts: 3, startedAt: START }]);
  });

  test('gives open commands and pending results oldest first', async () => {
    using open = openJournal();
    const { journal } = open;
    await Promise.all(['z', 'a', 'm', 'b'].map((id) => journal.accept(commandOf(id))));
    await journal.begin('m');
    expect(openEntries(journal).map(({ command: { id } }) => id)).toEqual(['z', 'a', 'm', 'b']);

    for (const id of ['b', 'm', 'z', 'a']) {
      await journal.finish(id, resultOf(id));
    }
    expect(journal.pending(3).map(({ commandId }) => commandId)).toEqual(['z', 'a', 'm']);
  });

  test('takes a known command for a duplicate in every state and keeps one result', async () => {
    using open = openJournal();
    const { journal } = open;
    const again = () => journal.accept(commandOf('c1'));

    const outcomes: string[] = await Promise.all([again(), again()]);
    await journal.begin('c1');
    outcomes.push(await again());
    await journal.finish('c1', resultOf('once'));
    outcomes.push(await again());
    await journal.finish('c1', resultOf('twice'));
    await journal.delivered('c1');
    outcomes.push(await again());
    expect(outcomes).toEqual(['accepted', 'duplicate', 'duplicate', 'duplicate', 'duplicate']);
    expect(openEntries(journal)).toEqual([]);
    expect(journal.pending(10)).toEqual([{ commandId: 'c1', result: resultOf('once') }]);
  });

  test('keeps neither payload nor checkpoint of a command that has ended', async () => {
    using open = openJournal();
    const { database, journal } = open;
    await journal.accept(commandOf('c1', { payload: { environment: { TOKEN: 'hunter22' } } }));
    await journal.begin('c1');
    await journal.checkpoint('c1', { before: 'hunter22' });
    await journal.finish('c1', resultOf('done'));
    const rows = database.query('SELECT * FROM commands').all();
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain('hunter22');
  });

  test('does not take a result for delivered before there is one', async () => {
    using open = openJournal();
    const { journal } = open;
    await journal.accept(commandOf('c1'));
    await journal.begin('c1');
    await journal.delivered('c1');
    expect(journal.counts()).toEqual({ accepted: 0, running: 1, undelivered: 0 });
  });

  test('refuses a checkpoint that is too large', async () => {
    using open = openJournal();
    const { journal } = open;
    await journal.accept(commandOf('c1'));
    await journal.begin('c1');
    const large = 'x'.repeat(CHECKPOINT_BYTES_MAX);
    expect((await failureOf(() => journal.checkpoint('c1', large))).code).toBe('INTERNAL');
  });
});

describe('commandJournal() and its limits', () => {
  test('is full at its limit and has room again when a result was delivered', async () => {
    using open = openJournal();
    const { journal } = open;
    await Promise.all(
      Array.from({ length: HELD_COMMANDS_MAX }, (_, index) =>
        journal.accept(commandOf(`c${index}`)),
      ),
    );
    await journal.begin('c0');
    await journal.finish('c0', resultOf('c0'));

    expect(await journal.accept(commandOf('more'))).toBe('full');
    expect(await journal.accept(commandOf('c7'))).toBe('duplicate');
    await journal.delivered('c0');
    expect(await journal.accept(commandOf('more'))).toBe('accepted');
  });

  test('is full when it holds too many bytes, and keeps how a command ended all the same', async () => {
    using open = openJournal();
    const { database, journal } = open;
    await journal.accept(commandOf('c1'));
    await journal.begin('c1');
    // As if much were held: a journal that is opened counts it.
    database.run('UPDATE commands SET bytes = ?', [HELD_BYTES_MAX]);
    const { journal: reopened } = reopen(open);

    expect(await reopened.accept(commandOf('c2'))).toBe('full');
    database.run(
      `INSERT INTO commands (id, type, state, bytes, accepted_at, command)
       VALUES ('other', 'scale', 'accepted', ?, ?, '{}')`,
      [HELD_BYTES_MAX, START],
    );
    const { journal: fuller } = reopen(open);
    await fuller.finish('c1', { ...resultOf('x'.repeat(1_000)), data: { replicas: 2 } });
    expect(fuller.pending(1)).toEqual([
      {
        commandId: 'c1',
        result: {
          ...resultOf(''),
          metadata: { ...resultOf('').metadata, truncated: true },
        },
      },
    ]);
  });

  test('gives out only as many results at once as memory allows', async () => {
    using open = openJournal();
    const { journal } = open;
    for (const id of ['a', 'b', 'c']) {
      await journal.accept(commandOf(id));
      await journal.begin(id);
      await journal.finish(id, resultOf('x'.repeat(PENDING_BYTES_MAX / 2 - 1_000)));
    }
    expect(pendingIds(journal)).toEqual(['a', 'b']);
  });
});

describe('commandJournal() and cancels', () => {
  test('tells of a cancel once, durably', async () => {
    using open = openJournal();
    const { journal } = open;
    await journal.accept(commandOf('c1'));
    expect(await journal.cancel('c1')).toBe('cancelling');
    expect([journal.takeCancelled(), journal.takeCancelled()]).toEqual([['c1'], []]);
    expect(openEntries(reopen(open).journal).map((each) => each.cancelled)).toEqual([true]);
  });

  test('sends the result again when the cancel comes too late', async () => {
    using open = openJournal();
    const { journal } = open;
    await run(journal, 'c1');
    await journal.delivered('c1');
    expect(await journal.cancel('c1')).toBe('finished');
    expect(pendingIds(journal)).toEqual(['c1']);
  });

  test('remembers one that overtook its command, for a time', async () => {
    using open = openJournal();
    const { clock, journal } = open;
    expect([await journal.cancel('soon'), await journal.cancel('late')]).toEqual([
      'unknown',
      'unknown',
    ]);
    clock.advance(EARLY_CANCEL_KEPT_MS);
    await journal.accept(commandOf('soon'));
    clock.advance(1);
    await journal.accept(commandOf('late'));
    expect(openEntries(journal).map((each) => [each.command.id, each.cancelled])).toEqual([
      ['soon', true],
      ['late', false],
    ]);
  });

  test('remembers only the newest ones', async () => {
    using open = openJournal();
    const { database, journal } = open;
    await Promise.all(
      Array.from({ length: EARLY_CANCELS_MAX + 1 }, (_, index) => journal.cancel(`c${index}`)),
    );
    expect(database.query('SELECT count(*), min(rowid) FROM early_cancels').values()).toEqual([
      [EARLY_CANCELS_MAX, 2],
    ]);
  });
});

describe('commandJournal() after a damage', () => {
  test('knows which commands the lost journal may have held', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    await Bun.write(path, 'not a database, and longer than the header of one'.repeat(100));
    using open = openJournal(path);
    const { journal } = open;
    const at = (offsetMs: number) => new Date(Date.parse(START) + offsetMs).toISOString();
    const mayHaveRun = (createdAt: string | null) =>
      journal.mayHaveRunBefore(commandOf('c1', { created_at: createdAt }));
    expect([
      mayHaveRun(at(-1)),
      mayHaveRun(at(CLOCKS_APART_MS - 1)),
      mayHaveRun(at(CLOCKS_APART_MS)),
      mayHaveRun(null),
      mayHaveRun('yesterday'),
    ]).toEqual([true, true, false, false, false]);
    expect((await readdir(directory.path)).filter((name) => name.includes('corrupt'))).toHaveLength(
      1,
    );
  });

  test('takes every command of an agent that is new for new', () => {
    using open = openJournal();
    const old = commandOf('c1', { created_at: '2020-01-01T00:00:00.000Z' });
    expect(open.journal.mayHaveRunBefore(old)).toBeFalse();
  });
});

describe('commandJournal() and those who wait', () => {
  const never = new AbortController().signal;

  test('does not lose a command that came while nobody waited, and tells it once', async () => {
    using open = openJournal();
    const { journal } = open;
    await journal.accept(commandOf('c1'));
    await journal.whenWork(never);

    const waiting = journal.whenWork(never);
    expect(Bun.peek.status(waiting)).toBe('pending');
    await journal.cancel('c1');
    await waiting;
  });

  test('wakes those who wait for a result, not those who wait for work, at a duplicate', async () => {
    using open = openJournal();
    const { journal } = open;
    await journal.accept(commandOf('c1'));
    await journal.whenWork(never);
    const forWork = journal.whenWork(never);
    const forResult = journal.whenPending(never);

    await journal.accept(commandOf('c1'));
    await forResult;
    expect(Bun.peek.status(forWork)).toBe('pending');
  });

  test('wakes those who wait for a result when one is finished', async () => {
    using open = openJournal();
    const waiting = open.journal.whenPending(never);
    expect(Bun.peek.status(waiting)).toBe('pending');
    await run(open.journal, 'c1');
    await waiting;
  });
});

/** The journal as the next start of the daemon finds it. */
function reopen(open: ReturnType<typeof openJournal>) {
  const { database, clock } = open;
  return { journal: commandJournal({ database, clock, runSoon: systemRunSoon }) };
}
