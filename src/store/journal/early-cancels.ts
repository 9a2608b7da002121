/** Cancels that came before their command: it is never begun when it comes. */
import type { Database } from 'bun:sqlite';

/** A cancel that came before its command is remembered this long. */
export const EARLY_CANCEL_KEPT_MS = 3_600_000;
/** … and no more than this many of them, the newest. */
export const EARLY_CANCELS_MAX = 1_000;

/** Within a transaction. */
export function rememberEarlyCancel(database: Database, commandId: string, now: Date): void {
  database.run('INSERT OR REPLACE INTO early_cancels (id, at) VALUES (?, ?)', [
    commandId,
    now.toISOString(),
  ]);
  database.run(
    `DELETE FROM early_cancels WHERE rowid <= (SELECT max(rowid) FROM early_cancels) - ?`,
    [EARLY_CANCELS_MAX],
  );
}

/** @returns when a command that comes only now was cancelled, ISO; null when it was not */
export function takeEarlyCancel(database: Database, commandId: string, now: Date): string | null {
  const cancel = database
    .query<{ at: string }, [string]>('DELETE FROM early_cancels WHERE id = ? RETURNING at')
    .get(commandId);
  const oldest = new Date(now.getTime() - EARLY_CANCEL_KEPT_MS).toISOString();
  return cancel !== null && cancel.at >= oldest ? cancel.at : null;
}
