import type { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import type { Command, CommandResult } from '../../src/protocol/rest.ts';
import {
  type CommandJournal,
  commandJournal,
  DELIVERED_KEPT_MAX,
  DELIVERED_KEPT_MS,
  OPEN_COMMANDS_MAX,
} from '../../src/store/command-journal.ts';
import { openDatabase } from '../../src/store/database.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';

const START = '2026-01-01T00:00:00.000Z';

interface OpenJournal extends Disposable {
  readonly clock: ManualClock;
  readonly database: Database;
  readonly journal: CommandJournal;
}

function openJournal(): OpenJournal {
  const clock = manualClock(START);
  const { database } = openDatabase({ clock }, ':memory:');
  return {
    clock,
    database,
    journal: commandJournal({ database, clock }),
    [Symbol.dispose]: () => database.close(),
  };
}

function command(id: string): Command {
  return { id, type: 'scale', payload: { name: 'web', replicas: 2 }, timeout_seconds: null };
}

function result(output: string): CommandResult {
  return {
    success: true,
    output,
    metadata: {
      attempts: 1,
      started_at: START,
      finished_at: START,
      duration_ms: 5,
      truncated: false,
    },
    timestamp: START,
  };
}

function deliver(journal: CommandJournal, id: string): void {
  journal.accept(command(id));
  journal.begin(id);
  journal.finish(id, result(id));
  journal.delivered(id);
}

function storedIds(database: Database): readonly unknown[] {
  return database.query('SELECT id FROM commands ORDER BY sequence').values().flat();
}

describe('commandJournal()', () => {
  test('leads a command from acceptance to delivery', () => {
    using open = openJournal();
    const { clock, journal } = open;

    expect(journal.accept(command('c1'))).toBe('accepted');
    expect(journal.counts()).toEqual({ accepted: 1, running: 0, undelivered: 0 });
    expect(journal.open()).toEqual([
      {
        command: command('c1'),
        state: 'accepted',
        attempts: 0,
        startedAt: undefined,
        checkpoint: undefined,
      },
    ]);

    clock.advance(1_000);
    expect(journal.begin('c1')).toBe(1);
    journal.checkpoint('c1', [{ uid: 'u1' }]);
    expect(journal.counts()).toEqual({ accepted: 0, running: 1, undelivered: 0 });
    expect(journal.open()).toEqual([
      {
        command: command('c1'),
        state: 'running',
        attempts: 1,
        startedAt: '2026-01-01T00:00:01.000Z',
        checkpoint: [{ uid: 'u1' }],
      },
    ]);

    journal.finish('c1', result('Scaled'));
    expect(journal.counts()).toEqual({ accepted: 0, running: 0, undelivered: 1 });
    expect(journal.open()).toEqual([]);
    expect(journal.pending(10)).toEqual([{ commandId: 'c1', result: result('Scaled') }]);

    journal.delivered('c1');
    expect(journal.counts()).toEqual({ accepted: 0, running: 0, undelivered: 0 });
    expect(journal.pending(10)).toEqual([]);
  });

  test('counts attempts and keeps the moment of the first one', () => {
    using open = openJournal();
    const { clock, journal } = open;
    journal.accept(command('c1'));
    expect([journal.begin('c1'), journal.begin('c1')]).toEqual([1, 2]);
    clock.advance(60_000);
    journal.begin('c1');

    expect(journal.open().map(({ attempts, startedAt }) => ({ attempts, startedAt }))).toEqual([
      { attempts: 3, startedAt: START },
    ]);
  });

  test('gives open commands and pending results oldest first', () => {
    using open = openJournal();
    const { journal } = open;
    for (const id of ['z', 'a', 'm', 'b']) {
      journal.accept(command(id));
    }
    journal.begin('m');
    expect(journal.open().map(({ command: { id } }) => id)).toEqual(['z', 'a', 'm', 'b']);

    for (const id of ['b', 'm', 'z', 'a']) {
      journal.finish(id, result(id));
    }
    expect(journal.pending(3).map(({ commandId }) => commandId)).toEqual(['z', 'a', 'm']);
  });

  test('takes a known command for a duplicate in every state and runs it once', () => {
    using open = openJournal();
    const { journal } = open;
    const again = () => journal.accept(command('c1'));

    const outcomes = [again(), again()];
    journal.begin('c1');
    outcomes.push(again());
    journal.finish('c1', result('once'));
    outcomes.push(again());
    expect(outcomes).toEqual(['accepted', 'duplicate', 'duplicate', 'duplicate']);
    expect(journal.open()).toEqual([]);
    expect(journal.pending(10)).toEqual([{ commandId: 'c1', result: result('once') }]);
  });

  test('sends the same result again when a delivered command is asked for again', () => {
    using open = openJournal();
    const { journal } = open;
    deliver(journal, 'c1');

    expect(journal.accept(command('c1'))).toBe('duplicate');
    expect(journal.open()).toEqual([]);
    expect(journal.pending(10)).toEqual([{ commandId: 'c1', result: result('c1') }]);
  });

  test('does not take a result for delivered before there is one', () => {
    using open = openJournal();
    const { journal } = open;
    journal.accept(command('c1'));
    journal.begin('c1');
    journal.delivered('c1');
    expect(journal.counts()).toEqual({ accepted: 0, running: 1, undelivered: 0 });
  });

  test('is full at its limit and has room again when one is finished', () => {
    using open = openJournal();
    const { database, journal } = open;
    database.transaction(() => {
      for (let index = 0; index < OPEN_COMMANDS_MAX; index += 1) {
        journal.accept(command(`c${index}`));
      }
    })();
    journal.begin('c0');

    expect(journal.accept(command('more'))).toBe('full');
    expect(journal.accept(command('c7'))).toBe('duplicate');
    journal.finish('c0', result('c0'));
    expect(journal.accept(command('more'))).toBe('accepted');
  });
});

describe('commandJournal() and its memory of delivered commands', () => {
  test('forgets one after its time, never one whose result was not taken', () => {
    using open = openJournal();
    const { clock, database, journal } = open;
    deliver(journal, 'old');
    journal.accept(command('waiting'));
    journal.accept(command('undelivered'));
    journal.finish('undelivered', result('undelivered'));

    clock.advance(DELIVERED_KEPT_MS);
    deliver(journal, 'at-the-limit');
    expect(storedIds(database)).toEqual(['old', 'waiting', 'undelivered', 'at-the-limit']);

    clock.advance(1);
    deliver(journal, 'new');
    expect(storedIds(database)).toEqual(['waiting', 'undelivered', 'at-the-limit', 'new']);
  });

  test('forgets the oldest when there are too many', () => {
    using open = openJournal();
    const { database, journal } = open;
    database.transaction(() => {
      for (let index = 0; index < DELIVERED_KEPT_MAX + 2; index += 1) {
        database.run(
          `INSERT INTO commands (id, sequence, type, command, state, accepted_at, finished_at)
           VALUES (?, ?, 'scale', '{}', 'delivered', ?, ?)`,
          [`c${index}`, index + 1, START, START],
        );
      }
    })();

    deliver(journal, 'new');
    const ids = storedIds(database);
    expect({ count: ids.length, first: ids[0], last: ids.at(-1) }).toEqual({
      count: DELIVERED_KEPT_MAX,
      first: 'c3',
      last: 'new',
    });
  });
});

describe('commandJournal() and those who wait', () => {
  const never = new AbortController().signal;

  test('wakes all who wait for a command', async () => {
    using open = openJournal();
    const { journal } = open;
    const both = Promise.all([journal.whenAccepted(never), journal.whenAccepted(never)]);
    journal.accept(command('c1'));
    await both;
  });

  test('does not lose a command that came while nobody waited, and tells it once', async () => {
    using open = openJournal();
    const { journal } = open;
    journal.accept(command('c1'));
    await journal.whenAccepted(never);

    const waiting = journal.whenAccepted(never);
    expect(Bun.peek.status(waiting)).toBe('pending');
    journal.accept(command('c2'));
    await waiting;
  });

  test('does not wake those who wait for a command when a duplicate comes', async () => {
    using open = openJournal();
    const { journal } = open;
    journal.accept(command('c1'));
    await journal.whenAccepted(never);
    const forCommand = journal.whenAccepted(never);
    const forResult = journal.whenPending(never);

    journal.accept(command('c1'));
    await forResult;
    expect(Bun.peek.status(forCommand)).toBe('pending');
  });

  test('wakes those who wait for a result when one is finished', async () => {
    using open = openJournal();
    const { journal } = open;
    journal.accept(command('c1'));
    const waiting = journal.whenPending(never);
    journal.finish('c1', result('done'));
    await waiting;
  });

  test('lets go at the signal, also when it came before', async () => {
    using open = openJournal();
    const { journal } = open;
    const controller = new AbortController();
    const waiting = journal.whenAccepted(controller.signal);
    expect(Bun.peek.status(waiting)).toBe('pending');
    controller.abort();
    await waiting;
    await journal.whenPending(controller.signal);
  });

  test('keeps a ring for the next one when the one who waited has gone', async () => {
    using open = openJournal();
    const { journal } = open;
    const controller = new AbortController();
    const gone = journal.whenAccepted(controller.signal);
    controller.abort();
    await gone;

    journal.accept(command('c1'));
    await journal.whenAccepted(never);
  });
});
