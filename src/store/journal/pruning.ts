import type { Database } from 'bun:sqlite';
import type { CommandResult } from '../../protocol/rest.ts';
import { type JournalTotals, slimResult } from './rows.ts';

/** Delivered commands are remembered this long, to answer a duplicate without running it again. */
export const DELIVERED_KEPT_MS = 30 * 24 * 3_600_000;
/** … and no more than this many of them, the newest. */
export const DELIVERED_KEPT_MAX = 10_000;
/** Bytes of their results; over it the oldest keep only how they ended. */
export const DELIVERED_BYTES_MAX = 64 * 1024 * 1024;
/** A result up to this size is not made slim. Every slim result is smaller. */
const SLIM_RESULT_BYTES = 8 * 1024;
/** Rows that one call forgets or makes slim, so that it never holds the event loop … */
const BATCH_ROWS = 200;
/** … and their bytes; a larger row comes alone. */
export const BATCH_BYTES = 1024 * 1024;
/** Free pages given back to the file system by one call: 1 MiB. */
const BATCH_PAGES = 256;

/**
 * Forgets delivered commands that are too old or too many; within a transaction.
 * @returns whether there is more to do
 */
export function pruneJournal(database: Database, totals: JournalTotals, now: Date): boolean {
  const forgotten = forget(database, totals, now);
  const slimmed = totals.deliveredBytes > DELIVERED_BYTES_MAX && slim(database, totals);
  const free = database.query<{ freelist_count: number }, []>('PRAGMA freelist_count').get();
  // A statement that vacuums does so while its rows are read.
  database.query(`PRAGMA incremental_vacuum(${BATCH_PAGES})`).all();
  return forgotten || slimmed || (free?.freelist_count ?? 0) > BATCH_PAGES;
}

interface Row {
  readonly sequence: number;
  readonly bytes: number;
}

/** @returns whether there may be more */
function forget(database: Database, totals: JournalTotals, now: Date): boolean {
  const oldest = new Date(now.getTime() - DELIVERED_KEPT_MS).toISOString();
  const rows = database
    .query<Row, [number, string, number]>(
      // Only the first ones are looked at: rows are long.
      `SELECT sequence, bytes FROM (
         SELECT sequence, bytes, finished_at FROM commands
         WHERE state = 'delivered' ORDER BY sequence LIMIT ?)
       WHERE finished_at < ? OR sequence <= (SELECT max(sequence) FROM commands) - ?`,
    )
    .all(BATCH_ROWS, oldest, DELIVERED_KEPT_MAX);
  const batch = firstBatch(rows);
  for (const { sequence, bytes } of batch) {
    database.run('DELETE FROM commands WHERE sequence = ?', [sequence]);
    totals.deliveredBytes -= bytes;
  }
  return batch.length < rows.length || rows.length === BATCH_ROWS;
}

/** @returns whether there may be more */
function slim(database: Database, totals: JournalTotals): boolean {
  const rows = database
    .query<Row, [number, number]>(
      `SELECT sequence, bytes FROM commands WHERE state = 'delivered' AND bytes > ?
       ORDER BY sequence LIMIT ?`,
    )
    .all(SLIM_RESULT_BYTES, BATCH_ROWS);
  const batch = firstBatch(rows);
  for (const { sequence, bytes } of batch) {
    const row = database
      .query<{ result: string }, [number]>('SELECT result FROM commands WHERE sequence = ?')
      .get(sequence);
    // Written by `finish` from a checked result.
    const text = JSON.stringify(slimResult(JSON.parse(row?.result ?? '') as CommandResult));
    const slimBytes = Buffer.byteLength(text);
    database.run('UPDATE commands SET result = ?, bytes = ? WHERE sequence = ?', [
      text,
      slimBytes,
      sequence,
    ]);
    totals.deliveredBytes += slimBytes - bytes;
  }
  return batch.length > 0;
}

/** As many rows as one call may handle: the work for each grows with its bytes. */
function firstBatch(rows: readonly Row[]): readonly Row[] {
  let bytes = 0;
  const over = rows.findIndex((row, index) => {
    bytes += row.bytes;
    return index > 0 && bytes > BATCH_BYTES;
  });
  return over === -1 ? rows : rows.slice(0, over);
}
