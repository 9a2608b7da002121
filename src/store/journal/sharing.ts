/**
 * What the journals of the servers of one cluster tell each other: which commands only this one knows,
 * and what became of those that another one has finished.
 */
import type { Database } from 'bun:sqlite';
import type { CommandResult } from '../../protocol/rest.ts';
import type { GroupCommit } from '../group-commit.ts';
import {
  type CommandPast,
  type CommandTable,
  commandDelivered,
  finishCommand,
  type State,
  setPast,
  stateOf,
} from './changes.ts';

/** A command that has ended. */
export interface EndedCommand {
  readonly id: string;
  readonly type: string;
  readonly result: CommandResult;
}

/** A command that has no answer yet, or whose answer nobody has taken. */
export interface HeldCommand {
  readonly sequence: number;
  readonly id: string;
  readonly type: string;
  /** ISO time. */
  readonly acceptedAt: string;
  /** 1: the cluster has had a record of it; 2: it knows that it was delivered. */
  readonly shared: 0 | 1 | 2;
  /** Whether it is open; otherwise it has a result. */
  readonly isOpen: boolean;
}

/**
 * What the journals of the servers of a cluster must know of each other. When a promise resolves, it is on
 * the disk; each may reject as those of `CommandJournal`.
 */
export interface JournalSharing {
  stateOf(commandId: string): State | undefined;
  /** The next command after a sequence that is open or whose result nobody has taken. */
  nextHeld(afterSequence: number): HeldCommand | undefined;
  /** The result of a command that has ended. */
  resultOf(commandId: string): CommandResult | undefined;
  /** Makes an open command what the cluster knows of it. */
  setPast(commandId: string, past: CommandPast): Promise<void>;
  /** Another server has finished it. A result that is known here stays. */
  takeFinished(ended: readonly EndedCommand[], state: 'done' | 'delivered'): Promise<void>;
  /** Whether the cluster is known to know that it was delivered. */
  isNoted(commandId: string): boolean;
  /** The cluster has a record of it. */
  hasRecord(commandId: string): Promise<void>;
  /** Commands whose delivery the cluster does not know, oldest first: one, or as many as bytes allow. */
  toNote(limit: number, limitBytes: number): readonly EndedCommand[];
  /** The cluster knows that they were delivered. */
  noted(commandIds: readonly string[]): Promise<void>;
}

export function journalSharing(
  { table, commits, now }: { table: CommandTable; commits: GroupCommit; now: () => Date },
  rang: () => void,
): JournalSharing {
  const { database } = table;
  return {
    stateOf: (commandId) => stateOf(database, commandId),
    nextHeld: (sequence) => nextHeld(database, sequence),
    resultOf: (commandId) => readResult(database, commandId),
    setPast: (commandId, past) => commits.write(() => setPast(table, commandId, past)),
    takeFinished: async (ended, state) => {
      await commits.write(() => {
        for (const each of ended) {
          takeFinished(table, each, state, now());
        }
      });
      rang();
    },
    isNoted: (commandId) => sharedLevel(database, commandId) === 2,
    hasRecord: (commandId) => commits.write(() => markShared(database, commandId, 1)),
    toNote: (limit, limitBytes) => readToNote(database, limit, limitBytes),
    noted: (commandIds) =>
      commits.write(() => {
        for (const id of commandIds) {
          markShared(database, id, 2);
        }
      }),
  };
}

/** Within a transaction: another server has finished it. Its first result here stays. */
function takeFinished(
  table: CommandTable,
  ended: EndedCommand,
  state: 'done' | 'delivered',
  now: Date,
): void {
  const { database, totals } = table;
  const { id, type, result } = ended;
  const text = JSON.stringify(result);
  const at = now.toISOString();
  const { changes } = database.run(
    `INSERT INTO commands (id, type, state, bytes, accepted_at) VALUES (?, ?, 'accepted', 0, ?)
     ON CONFLICT (id) DO NOTHING`,
    [id, type, at],
  );
  totals.accepted += changes;
  finishCommand(table, id, { result, text }, now);
  if (state === 'delivered') {
    commandDelivered(table, id);
  }
  markShared(database, id, state === 'done' ? 1 : 2);
}

/** @param level 1: the cluster has a record of it; 2: it knows that it was delivered */
function markShared(database: Database, id: string, level: 1 | 2): void {
  database.run('UPDATE commands SET shared = ? WHERE id = ? AND shared < ?', [level, id, level]);
}

function nextHeld(database: Database, sequence: number): HeldCommand | undefined {
  const rows = (['accepted', 'running', 'done'] as const).flatMap((state) =>
    database
      .query<HeldRow, [string, number]>(
        `SELECT sequence, id, type, state, accepted_at, shared FROM commands
         WHERE state = ? AND sequence > ? ORDER BY sequence LIMIT 1`,
      )
      .all(state, sequence),
  );
  const row = rows.toSorted((a, b) => a.sequence - b.sequence)[0];
  return row === undefined
    ? undefined
    : {
        sequence: row.sequence,
        id: row.id,
        type: row.type,
        acceptedAt: row.accepted_at,
        shared: row.shared,
        isOpen: row.state !== 'done',
      };
}

interface HeldRow {
  readonly sequence: number;
  readonly id: string;
  readonly type: string;
  readonly state: State;
  readonly accepted_at: string;
  readonly shared: 0 | 1 | 2;
}

function sharedLevel(database: Database, id: string): number | undefined {
  return database
    .query<{ shared: number }, [string]>('SELECT shared FROM commands WHERE id = ?')
    .get(id)?.shared;
}

function readResult(database: Database, id: string): CommandResult | undefined {
  const row = database
    .query<{ result: string | null }, [string]>('SELECT result FROM commands WHERE id = ?')
    .get(id);
  // Written by `finish` from a checked result.
  return row?.result == null ? undefined : (JSON.parse(row.result) as CommandResult);
}

function readToNote(
  database: Database,
  limit: number,
  limitBytes: number,
): readonly EndedCommand[] {
  let bytes = 0;
  const rows = database
    .query<{ id: string; type: string; bytes: number }, [number]>(
      `SELECT id, type, bytes FROM commands WHERE state = 'delivered' AND shared < 2
       ORDER BY sequence LIMIT ?`,
    )
    .all(limit);
  const over = rows.findIndex((row, index) => {
    bytes += row.bytes;
    return index > 0 && bytes > limitBytes;
  });
  return (over === -1 ? rows : rows.slice(0, over)).flatMap(({ id, type }) => {
    const result = readResult(database, id);
    return result === undefined ? [] : [{ id, type, result }];
  });
}
