/**
 * What becomes of a command, as changes of its row: accepted, running, done, delivered. Each is called
 * within a transaction and keeps the totals right.
 */
import type { Database } from 'bun:sqlite';
import type { Command, CommandResult } from '../../protocol/rest.ts';
import { rememberEarlyCancel, takeEarlyCancel } from './early-cancels.ts';
import { deleteTexts } from './long-texts.ts';
import { type JournalTotals, slimResult } from './rows.ts';

/** Commands that wait, run or have a result that nobody took; one more is not accepted. */
export const HELD_COMMANDS_MAX = 5_000;
/** … and their bytes; a result that exceeds this loses its output and data. */
export const HELD_BYTES_MAX = 256 * 1024 * 1024;

export type AcceptOutcome = 'accepted' | 'duplicate' | 'full';
/** finished: too late, its result is sent again. unknown: remembered, in case it comes later. */
export type CancelOutcome = 'cancelling' | 'finished' | 'unknown';

export interface CommandTable {
  readonly database: Database;
  readonly totals: JournalTotals;
}

/** Why a command is not to be taken in; undefined when it is new and there is room for it. */
export function refusalOf(
  table: CommandTable,
  commandId: string,
  bytes: number,
): Exclude<AcceptOutcome, 'accepted'> | undefined {
  const { database, totals } = table;
  if (stateOf(database, commandId) !== undefined) {
    // The control plane asks again because it did not get the result: it is sent again.
    sendAgain(table, commandId);
    return 'duplicate';
  }
  const held = totals.accepted + totals.running + totals.undelivered;
  const isFull = held >= HELD_COMMANDS_MAX || totals.heldBytes + bytes > HELD_BYTES_MAX;
  return isFull ? 'full' : undefined;
}

/** A command as it is written. */
export interface WrittenCommand {
  readonly text: string;
  /** Its long texts included. */
  readonly bytes: number;
  readonly textSet: number | null;
}

/** What the cluster knows of an open command: another server may have begun it. */
export interface CommandPast {
  /** How often it was begun; 0 when it never was. */
  readonly attempts: number;
  /** ISO times. */
  readonly startedAt: string | null;
  readonly cancelledAt: string | null;
  /** What its handler noted. */
  readonly checkpoint: unknown;
}

/**
 * Takes a command in, if it is new and there is room for it; otherwise its long texts are deleted.
 * @param past of a command that the cluster has a record of
 */
export function insertCommand(
  table: CommandTable,
  command: Command,
  { text, bytes, textSet }: WrittenCommand,
  now: Date,
  past?: CommandPast,
): AcceptOutcome {
  const { database, totals } = table;
  const refusal = refusalOf(table, command.id, bytes);
  if (refusal !== undefined) {
    if (textSet !== null) {
      deleteTexts(database, textSet);
    }
    return refusal;
  }
  const cancelledAt = takeEarlyCancel(database, command.id, now);
  database.run(
    `INSERT INTO commands (id, type, state, bytes, accepted_at, cancelled_at, command, text_set)
     VALUES (?, ?, 'accepted', ?, ?, ?, ?, ?)`,
    [command.id, command.type, bytes, now.toISOString(), cancelledAt, text, textSet],
  );
  totals.accepted += 1;
  totals.heldBytes += bytes;
  if (past !== undefined) {
    setPast(table, command.id, past);
  }
  return 'accepted';
}

/** Makes an open command what the cluster knows of it. */
export function setPast({ database, totals }: CommandTable, id: string, past: CommandPast): void {
  const state = past.attempts === 0 ? 'accepted' : 'running';
  const before = stateOf(database, id);
  if (before !== 'accepted' && before !== 'running') {
    return;
  }
  const { checkpoint } = past;
  database.run(
    `UPDATE commands SET state = ?, attempts = ?, started_at = ?, checkpoint = ?, shared = 1,
       cancelled_at = coalesce(cancelled_at, ?) WHERE id = ?`,
    [
      ...[state, past.attempts, past.startedAt],
      ...[checkpoint === undefined ? null : JSON.stringify(checkpoint), past.cancelledAt, id],
    ],
  );
  totals[before] -= 1;
  totals[state] += 1;
}

/** Marks an open command as asked to stop; for an unknown command the cancel is remembered. */
export function cancelCommand(table: CommandTable, commandId: string, now: Date): CancelOutcome {
  const { database } = table;
  switch (stateOf(database, commandId)) {
    case undefined:
      rememberEarlyCancel(database, commandId, now);
      return 'unknown';
    case 'done':
    case 'delivered':
      sendAgain(table, commandId);
      return 'finished';
    default:
      database.run('UPDATE commands SET cancelled_at = coalesce(cancelled_at, ?) WHERE id = ?', [
        now.toISOString(),
        commandId,
      ]);
      return 'cancelling';
  }
}

/** @returns the number of this attempt, from 1 */
export function beginCommand(
  { database, totals }: CommandTable,
  commandId: string,
  now: Date,
): number {
  if (stateOf(database, commandId) === 'accepted') {
    totals.accepted -= 1;
    totals.running += 1;
  }
  const row = database
    .query<{ attempts: number }, [string, string]>(
      `UPDATE commands SET state = 'running', attempts = attempts + 1,
         started_at = coalesce(started_at, ?)
       WHERE id = ? AND state IN ('accepted', 'running') RETURNING attempts`,
    )
    .get(now.toISOString(), commandId);
  if (row === null) {
    throw new Error(`The command ${commandId} is not open`);
  }
  return row.attempts;
}

/** Keeps a checkpoint of a running command, as JSON. */
export function noteCheckpoint({ database }: CommandTable, commandId: string, text: string): void {
  database.run("UPDATE commands SET checkpoint = ? WHERE id = ? AND state = 'running'", [
    text,
    commandId,
  ]);
}

/** Ends an open command; one that has ended already keeps its result. */
export function finishCommand(
  { database, totals }: CommandTable,
  commandId: string,
  whole: { readonly result: CommandResult; readonly text: string },
  now: Date,
): void {
  const row = database
    .query<{ state: string; bytes: number; text_set: number | null }, [string]>(
      "SELECT state, bytes, text_set FROM commands WHERE id = ? AND state IN ('accepted', 'running')",
    )
    .get(commandId);
  if (row === null) {
    return;
  }
  if (row.text_set !== null) {
    deleteTexts(database, row.text_set);
  }
  const fits = totals.heldBytes - row.bytes + whole.text.length <= HELD_BYTES_MAX;
  const text = fits ? whole.text : JSON.stringify(slimResult(whole.result));
  const bytes = Buffer.byteLength(text);
  // The command itself is not needed any more: its id is enough to know it again.
  database.run(
    `UPDATE commands SET state = 'done', result = ?, bytes = ?, finished_at = ?, command = NULL,
       checkpoint = NULL, text_set = NULL WHERE id = ?`,
    [text, bytes, now.toISOString(), commandId],
  );
  totals[row.state === 'running' ? 'running' : 'accepted'] -= 1;
  totals.undelivered += 1;
  totals.heldBytes += bytes - row.bytes;
}

/** The control plane has the result. */
export function commandDelivered({ database, totals }: CommandTable, commandId: string): void {
  const row = database
    .query<{ bytes: number }, [string]>(
      "UPDATE commands SET state = 'delivered' WHERE id = ? AND state = 'done' RETURNING bytes",
    )
    .get(commandId);
  if (row !== null) {
    totals.undelivered -= 1;
    totals.heldBytes -= row.bytes;
    totals.deliveredBytes += row.bytes;
  }
}

/** Makes a delivered result pending again. */
function sendAgain({ database, totals }: CommandTable, commandId: string): void {
  const row = database
    .query<{ bytes: number }, [string]>(
      "UPDATE commands SET state = 'done' WHERE id = ? AND state = 'delivered' RETURNING bytes",
    )
    .get(commandId);
  if (row !== null) {
    totals.undelivered += 1;
    totals.heldBytes += row.bytes;
    totals.deliveredBytes -= row.bytes;
  }
}

export type State = 'accepted' | 'running' | 'done' | 'delivered';

export function stateOf(database: Database, commandId: string): State | undefined {
  return database
    .query<{ state: State }, [string]>('SELECT state FROM commands WHERE id = ?')
    .get(commandId)?.state;
}
