/** The journal for people: what was asked for, and how it ended. */
import type { Database } from 'bun:sqlite';
import type { CommandRow, CommandsAnswer } from '../../protocol/local-commands.ts';
import type { CommandsQuery } from '../../protocol/local-queries.ts';
import type { Command, CommandResult } from '../../protocol/rest.ts';

/** Of a longer result the list does not say how it ended: SQLite would read all of it. */
const OUTCOME_BYTES_MAX = 64 * 1024;
/** As `finish` writes the beginning of each result. */
const SUCCESS = '{"success":true';

interface Row extends Omit<CommandRow, 'outcome'> {
  /** The beginning of its result; null while it is open, and where that is long. */
  readonly head: string | null;
}

const COLUMNS = `sequence, id, type, state, attempts, accepted_at, started_at, cancelled_at, finished_at,
  CASE WHEN bytes <= ${OUTCOME_BYTES_MAX} THEN substr(result, 1, ${SUCCESS.length}) END AS head FROM commands`;

/** The newest first. */
export function listCommands(
  database: Database,
  { state, limit, before = Number.MAX_SAFE_INTEGER }: CommandsQuery,
): CommandsAnswer {
  const rows = database
    .query<Row, [number, string | null, number]>(
      `SELECT ${COLUMNS} WHERE sequence < ?1 AND (?2 IS NULL OR state = ?2) ORDER BY sequence DESC LIMIT ?3`,
    )
    // One more than asked for tells whether there are older ones.
    .all(before, state ?? null, limit + 1);
  const items = rows.slice(0, limit).map(told);
  return { items, next: rows.length > limit ? (items.at(-1)?.sequence ?? null) : null };
}

/** One that is remembered, without what it is about. */
export function readRow(database: Database, id: string): CommandRow | undefined {
  const row = database.query<Row, [string]>(`SELECT ${COLUMNS} WHERE id = ?`).get(id);
  return row === null ? undefined : told(row);
}

export interface RememberedCommand {
  readonly row: CommandRow;
  /** Undefined once it has ended. Its long texts are empty. */
  readonly command: Command | undefined;
  readonly result: CommandResult | undefined;
}

export function readCommand(database: Database, id: string): RememberedCommand | undefined {
  const row = readRow(database, id);
  const texts = database
    .query<{ command: string | null; result: string | null }, [string]>(
      'SELECT command, result FROM commands WHERE id = ?',
    )
    .get(id);
  if (row === undefined || texts === null) {
    return undefined;
  }
  // Both were checked before they were written.
  const command = texts.command === null ? undefined : (JSON.parse(texts.command) as Command);
  const result = texts.result === null ? undefined : (JSON.parse(texts.result) as CommandResult);
  const outcome = result === undefined ? null : result.success ? 'succeeded' : 'failed';
  return { row: { ...row, outcome }, command, result };
}

function told({ head, ...row }: Row): CommandRow {
  if (row.finished_at === null) {
    return { ...row, outcome: null };
  }
  const outcome = head === SUCCESS ? 'succeeded' : 'failed';
  return { ...row, outcome: head === null ? 'ended' : outcome };
}
