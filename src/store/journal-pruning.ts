import type { Database } from 'bun:sqlite';
import type { CommandResult } from '../protocol/rest.ts';
import { type JournalTotals, slimResult } from './journal-rows.ts';

/** Delivered commands are remembered this long, to answer a duplicate without running it again. */
export const DELIVERED_KEPT_MS = 30 * 24 * 3_600_000;
/** … and no more than this many of them, the newest. */
export const DELIVERED_KEPT_MAX = 10_000;
/** Bytes of their results; over it the oldest keep only how they ended. */
export const DELIVERED_BYTES_MAX = 64 * 1024 * 1024;
/** A result that is no longer than this is not made slim. */
const SLIM_RESULT_BYTES = 16 * 1024;
/** Rows that one call looks after, so that it never holds the event loop. */
const BATCH_ROWS = 200;
const BATCH_SLIMMED = 5;
/** Free pages given back to the file system by one call: 1 MiB. */
const BATCH_PAGES = 256;

/**
 * Forgets delivered commands that are too old or too many; within a transaction.
 * @returns whether there is more to do
 */
export function pruneJournal(database: Database, totals: JournalTotals, now: Date): boolean {
  const forgotten = forget(database, totals, now);
  const slimmed = totals.deliveredBytes > DELIVERED_BYTES_MAX ? slim(database, totals) : 0;
  const free = database.query<{ freelist_count: number }, []>('PRAGMA freelist_count').get();
  // A statement that vacuums does so while its rows are read.
  database.query(`PRAGMA incremental_vacuum(${BATCH_PAGES})`).all();
  return (
    forgotten === BATCH_ROWS ||
    slimmed === BATCH_SLIMMED ||
    (free?.freelist_count ?? 0) > BATCH_PAGES
  );
}

function forget(database: Database, totals: JournalTotals, now: Date): number {
  const oldest = new Date(now.getTime() - DELIVERED_KEPT_MS).toISOString();
  const rows = database
    .query<{ bytes: number }, [string, number, number]>(
      `DELETE FROM commands WHERE sequence IN (
         SELECT sequence FROM commands WHERE state = 'delivered' AND (finished_at < ? OR
           sequence <= (SELECT max(sequence) FROM commands) - ?) ORDER BY sequence LIMIT ?)
       RETURNING bytes`,
    )
    .all(oldest, DELIVERED_KEPT_MAX, BATCH_ROWS);
  for (const row of rows) {
    totals.deliveredBytes -= row.bytes;
  }
  return rows.length;
}

function slim(database: Database, totals: JournalTotals): number {
  const rows = database
    .query<{ sequence: number; bytes: number; result: string }, [number, number]>(
      `SELECT sequence, bytes, result FROM commands WHERE state = 'delivered' AND bytes > ?
       ORDER BY sequence LIMIT ?`,
    )
    .all(SLIM_RESULT_BYTES, BATCH_SLIMMED);
  for (const row of rows) {
    // Written by `finish` from a checked result.
    const text = JSON.stringify(slimResult(JSON.parse(row.result) as CommandResult));
    const bytes = Buffer.byteLength(text);
    database.run('UPDATE commands SET result = ?, bytes = ? WHERE sequence = ?', [
      text,
      bytes,
      row.sequence,
    ]);
    totals.deliveredBytes += bytes - row.bytes;
  }
  return rows.length;
}
