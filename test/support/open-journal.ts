import type { Database } from 'bun:sqlite';
import type { RunSoon } from '../../src/core/ports.ts';
import { systemRunSoon } from '../../src/platform/run-soon.ts';
import type { Command, CommandResult } from '../../src/protocol/rest.ts';
import { openDatabase } from '../../src/store/database.ts';
import { type CommandJournal, commandJournal } from '../../src/store/journal/commands.ts';
import { type ManualClock, manualClock } from './manual-clock.ts';

export const START = '2026-01-01T00:00:00.000Z';

export interface OpenJournal extends Disposable {
  readonly clock: ManualClock;
  readonly database: Database;
  readonly journal: CommandJournal;
}

/** A journal on a real database, in memory unless there is a path. */
export function openJournal(path = ':memory:', runSoon: RunSoon = systemRunSoon): OpenJournal {
  const clock = manualClock(START);
  const { database } = openDatabase({ clock }, path);
  return {
    clock,
    database,
    journal: commandJournal({ database, clock, runSoon }),
    [Symbol.dispose]: () => database.close(),
  };
}

export function commandOf(id: string, more: Partial<Command> = {}): Command {
  return { id, type: 'scale', payload: { name: 'web', replicas: 2 }, ...more };
}

export function resultOf(output: string): CommandResult {
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

/** All unfinished commands, oldest first. */
export function openEntries(journal: CommandJournal) {
  const entries: NonNullable<ReturnType<CommandJournal['nextOpen']>>[] = [];
  for (;;) {
    const entry = journal.nextOpen(entries.at(-1)?.sequence ?? 0);
    if (entry === undefined) {
      return entries;
    }
    entries.push(entry);
  }
}
