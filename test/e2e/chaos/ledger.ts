/** What the control plane keeps of its commands, read from its database: also while it is down. */
import { Database } from 'bun:sqlite';
import type { CommandResult } from '../../../src/protocol/rest.ts';
import type { CommandState } from '../../support/control-plane/store.ts';

export interface LedgerEntry {
  readonly id: string;
  readonly type: string;
  readonly payload: Record<string, unknown>;
  readonly state: CommandState;
  readonly result: CommandResult | null;
  readonly extraResults: number;
}

interface Row {
  readonly id: string;
  readonly type: string;
  readonly payload: string;
  readonly state: CommandState;
  readonly result: string | null;
  readonly extra_results: number;
}

export interface Ledger extends Disposable {
  /** All commands ever accepted, in the order of their acceptance. */
  all(): readonly LedgerEntry[];
  /** Ids and types of those without a result. */
  open(): readonly { readonly id: string; readonly type: string }[];
}

export function openLedger(path: string): Ledger {
  const database = new Database(path, { readonly: true });
  return {
    all: () =>
      database
        .query<Row, []>(
          'SELECT id, type, payload, state, result, extra_results FROM commands ORDER BY rowid',
        )
        .all()
        .map((row) => ({
          id: row.id,
          type: row.type,
          payload: JSON.parse(row.payload),
          state: row.state,
          result: row.result === null ? null : JSON.parse(row.result),
          extraResults: row.extra_results,
        })),
    open: () =>
      database
        .query<{ id: string; type: string }, []>(
          "SELECT id, type FROM commands WHERE state NOT IN ('done', 'cancelled') ORDER BY rowid",
        )
        .all(),
    [Symbol.dispose]: () => database.close(),
  };
}
