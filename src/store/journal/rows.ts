/** The journal's table as objects, and what is kept of a command at each stage. */
import type { Database } from 'bun:sqlite';
import type { Command, CommandResult } from '../../protocol/rest.ts';

/** A command that waits or runs. */
export interface JournalEntry {
  /** Grows with each acceptance; never given twice. */
  readonly sequence: number;
  /** Its long texts are empty: `CommandJournal.whole` has them. */
  readonly command: Command;
  /** Where they are; undefined when it has none. */
  readonly textSet: number | undefined;
  readonly state: 'accepted' | 'running';
  /** How often it was begun before. */
  readonly attempts: number;
  /** ISO time of its first beginning. */
  readonly startedAt: string | undefined;
  /** It was asked to stop. */
  readonly cancelled: boolean;
  /** What its handler noted before an effect, in an earlier attempt. */
  readonly checkpoint: unknown;
}

export interface JournalCounts {
  readonly accepted: number;
  readonly running: number;
  /** Results that the control plane has not taken yet. */
  readonly undelivered: number;
}

/** What the table holds. Kept in memory, so that no acceptance counts rows. */
export interface JournalTotals {
  accepted: number;
  running: number;
  undelivered: number;
  /** Bytes of commands that wait, run or are not delivered. */
  heldBytes: number;
  /** Bytes of what is kept to answer duplicates. */
  deliveredBytes: number;
}

export function readTotals(database: Database): JournalTotals {
  const rows = database
    .query<{ state: string; count: number; bytes: number }, []>(
      'SELECT state, count(*) AS count, sum(bytes) AS bytes FROM commands GROUP BY state',
    )
    .all();
  const of = (state: string) => rows.find((row) => row.state === state) ?? { count: 0, bytes: 0 };
  return {
    accepted: of('accepted').count,
    running: of('running').count,
    undelivered: of('done').count,
    heldBytes: of('accepted').bytes + of('running').bytes + of('done').bytes,
    deliveredBytes: of('delivered').bytes,
  };
}

interface EntryRow {
  readonly sequence: number;
  readonly command: string;
  readonly type: string;
  readonly text_set: number | null;
  readonly state: 'accepted' | 'running';
  readonly attempts: number;
  readonly started_at: string | null;
  readonly cancelled_at: string | null;
  readonly checkpoint: string | null;
}

const ENTRY_COLUMNS =
  'sequence, type, command, text_set, state, attempts, started_at, cancelled_at, checkpoint FROM commands';

/** The oldest open command after a sequence. */
export function readNext(database: Database, sequence: number): JournalEntry | undefined {
  // One read of the index for each state: a read of both would not be in the order of the sequence.
  const rows = (['running', 'accepted'] as const).flatMap((state) =>
    database
      .query<EntryRow, [string, number]>(
        `SELECT ${ENTRY_COLUMNS} WHERE state = ? AND sequence > ? ORDER BY sequence LIMIT 1`,
      )
      .all(state, sequence),
  );
  const oldest = rows.toSorted((a, b) => a.sequence - b.sequence)[0];
  return oldest === undefined ? undefined : entryOf(oldest);
}

export function readEntry(database: Database, commandId: string): JournalEntry | undefined {
  const row = database
    .query<EntryRow, [string]>(
      `SELECT ${ENTRY_COLUMNS} WHERE id = ? AND state IN ('accepted', 'running')`,
    )
    .get(commandId);
  return row === null ? undefined : entryOf(row);
}

function entryOf(row: EntryRow): JournalEntry {
  return {
    sequence: row.sequence,
    // Written by `accept` from a checked command.
    command: { ...(JSON.parse(row.command) as Command), type: row.type },
    textSet: row.text_set ?? undefined,
    state: row.state,
    attempts: row.attempts,
    startedAt: row.started_at ?? undefined,
    cancelled: row.cancelled_at !== null,
    checkpoint: row.checkpoint === null ? undefined : JSON.parse(row.checkpoint),
  };
}

/** When the oldest command in each state was accepted: one read of the index each. */
export function readOldest(
  database: Database,
): Readonly<Record<keyof JournalCounts, Date | undefined>> {
  const oldest = (state: string) => {
    const row = database
      .query<{ accepted_at: string }, [string]>(
        'SELECT accepted_at FROM commands WHERE state = ? ORDER BY sequence LIMIT 1',
      )
      .get(state);
    return row === null ? undefined : new Date(row.accepted_at);
  };
  return {
    accepted: oldest('accepted'),
    running: oldest('running'),
    undelivered: oldest('done'),
  };
}

export interface PendingResult {
  readonly commandId: string;
  readonly result: CommandResult;
}

/** Undelivered results, oldest first: at most `limit`, and one or as many as `limitBytes` allow. */
export function readPending(
  database: Database,
  limit: number,
  limitBytes: number,
): readonly PendingResult[] {
  const found: PendingResult[] = [];
  let bytes = 0;
  const rows = database
    .query<{ id: string; bytes: number }, [number]>(
      "SELECT id, bytes FROM commands WHERE state = 'done' ORDER BY sequence LIMIT ?",
    )
    .all(limit);
  for (const row of rows) {
    bytes += row.bytes;
    if (found.length > 0 && bytes > limitBytes) {
      break;
    }
    const text = database
      .query<{ result: string }, [string]>('SELECT result FROM commands WHERE id = ?')
      .get(row.id);
    if (text !== null) {
      // Written by `finish` from a checked result.
      found.push({ commandId: row.id, result: JSON.parse(text.result) as CommandResult });
    }
  }
  return found;
}

const SLIM_ERROR_CHARS = 1_000;

/** What is left of a result where there is no room for all of it: how it ended, and why. */
export function slimResult(result: CommandResult): CommandResult {
  const { data: _, error, ...rest } = result;
  const why = error === undefined ? {} : { error: error.slice(0, SLIM_ERROR_CHARS) };
  return { ...rest, ...why, output: '', metadata: { ...result.metadata, truncated: true } };
}
