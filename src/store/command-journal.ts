import type { Database } from 'bun:sqlite';
import type { Clock } from '../core/ports.ts';
import type { Command, CommandResult } from '../protocol/rest.ts';

/** Delivered commands are remembered this long, to answer a duplicate without running it again. */
export const DELIVERED_KEPT_MS = 30 * 24 * 3_600_000;
/** … and no more than this many of them. */
export const DELIVERED_KEPT_MAX = 10_000;
/** Commands that wait or run, at most; one more is not accepted until there is room. */
export const OPEN_COMMANDS_MAX = 5_000;
/** Rows removed by one pruning, so that it never holds the event loop. */
const PRUNE_BATCH_ROWS = 500;

export type AcceptOutcome = 'accepted' | 'duplicate' | 'full';

/** A command that waits or runs. */
export interface JournalEntry {
  readonly command: Command;
  readonly state: 'accepted' | 'running';
  /** How often it was begun before. */
  readonly attempts: number;
  /** ISO time of its first beginning. */
  readonly startedAt: string | undefined;
  /** What its handler noted before an effect, in an earlier attempt. */
  readonly checkpoint: unknown;
}

export interface PendingResult {
  readonly commandId: string;
  readonly result: CommandResult;
}

export interface JournalCounts {
  readonly accepted: number;
  readonly running: number;
  /** Results that the control plane has not taken yet. */
  readonly undelivered: number;
}

/**
 * The durable memory of commands: accepted once, run, answered once. Each call commits before it
 * returns.
 */
export interface CommandJournal {
  /** Takes a command in; its id is the idempotency key. A delivered duplicate is sent again. */
  accept(command: Command): AcceptOutcome;
  /** All that is not finished, oldest first. */
  open(): readonly JournalEntry[];
  /** @returns the number of this attempt, from 1 */
  begin(commandId: string): number;
  /** Notes what a later attempt must know; JSON. */
  checkpoint(commandId: string, value: unknown): void;
  /** Ends a command with its result, in one commit. */
  finish(commandId: string, result: CommandResult): void;
  /** Results not yet taken by the control plane, oldest first. */
  pending(limit: number): readonly PendingResult[];
  delivered(commandId: string): void;
  /** Resolves when a command was accepted, or at the signal. */
  whenAccepted(signal: AbortSignal): Promise<void>;
  /** Resolves when a result became pending, or at the signal. */
  whenPending(signal: AbortSignal): Promise<void>;
  counts(): JournalCounts;
}

interface Row {
  readonly id: string;
  readonly command: string;
  readonly state: 'accepted' | 'running';
  readonly attempts: number;
  readonly started_at: string | null;
  readonly checkpoint: string | null;
}

export function commandJournal(deps: {
  readonly database: Database;
  readonly clock: Clock;
}): CommandJournal {
  const { database, clock } = deps;
  const acceptedBell = bell();
  const pendingBell = bell();
  const now = () => clock.now().toISOString();
  return {
    accept: (command) => {
      const outcome = database.transaction(() => insert(database, command, now()))();
      if (outcome === 'accepted') {
        acceptedBell.ring();
      } else if (outcome === 'duplicate') {
        pendingBell.ring();
      }
      return outcome;
    },
    open: () =>
      database
        .query<Row, []>(
          `SELECT id, command, state, attempts, started_at, checkpoint FROM commands
           WHERE state IN ('accepted', 'running') ORDER BY sequence`,
        )
        .all()
        .map(readRow),
    begin: (commandId) => {
      const row = database
        .query<{ attempts: number }, [string, string]>(
          `UPDATE commands SET state = 'running', attempts = attempts + 1,
             started_at = coalesce(started_at, ?) WHERE id = ? RETURNING attempts`,
        )
        .get(now(), commandId);
      return row?.attempts ?? 1;
    },
    checkpoint: (commandId, value) => {
      database.run('UPDATE commands SET checkpoint = ? WHERE id = ?', [
        JSON.stringify(value),
        commandId,
      ]);
    },
    finish: (commandId, result) => {
      database.run("UPDATE commands SET state = 'done', result = ?, finished_at = ? WHERE id = ?", [
        JSON.stringify(result),
        now(),
        commandId,
      ]);
      pendingBell.ring();
    },
    pending: (limit) =>
      database
        .query<{ id: string; result: string }, [number]>(
          "SELECT id, result FROM commands WHERE state = 'done' ORDER BY sequence LIMIT ?",
        )
        .all(limit)
        // Written by `finish` from a checked result.
        .map((row) => ({ commandId: row.id, result: JSON.parse(row.result) as CommandResult })),
    delivered: (commandId) => {
      database.run("UPDATE commands SET state = 'delivered' WHERE id = ? AND state = 'done'", [
        commandId,
      ]);
      prune(database, clock);
    },
    whenAccepted: acceptedBell.wait,
    whenPending: pendingBell.wait,
    counts: () => countStates(database),
  };
}

function insert(database: Database, command: Command, acceptedAt: string): AcceptOutcome {
  const known = database
    .query<{ state: string }, [string]>('SELECT state FROM commands WHERE id = ?')
    .get(command.id);
  if (known !== null) {
    // The control plane asks again because it did not get the result: it is sent again.
    database.run("UPDATE commands SET state = 'done' WHERE id = ? AND state = 'delivered'", [
      command.id,
    ]);
    return 'duplicate';
  }
  const counts = countStates(database);
  if (counts.accepted + counts.running >= OPEN_COMMANDS_MAX) {
    return 'full';
  }
  database.run(
    `INSERT INTO commands (id, sequence, type, command, state, accepted_at)
     VALUES (?, (SELECT coalesce(max(sequence), 0) + 1 FROM commands), ?, ?, 'accepted', ?)`,
    [command.id, command.type, JSON.stringify(command), acceptedAt],
  );
  return 'accepted';
}

function readRow(row: Row): JournalEntry {
  return {
    command: JSON.parse(row.command) as Command, // Written by `insert` from a checked command.
    state: row.state,
    attempts: row.attempts,
    startedAt: row.started_at ?? undefined,
    checkpoint: row.checkpoint === null ? undefined : JSON.parse(row.checkpoint),
  };
}

function countStates(database: Database): JournalCounts {
  const rows = database
    .query<{ state: string; count: number }, []>(
      `SELECT state, count(*) AS count FROM commands
       WHERE state IN ('accepted', 'running', 'done') GROUP BY state`,
    )
    .all();
  const count = (state: string) => rows.find((row) => row.state === state)?.count ?? 0;
  return { accepted: count('accepted'), running: count('running'), undelivered: count('done') };
}

function prune(database: Database, clock: Clock): void {
  const oldest = new Date(clock.now().getTime() - DELIVERED_KEPT_MS).toISOString();
  database.run(
    `DELETE FROM commands WHERE id IN (
       SELECT id FROM commands WHERE state = 'delivered' AND (finished_at < ? OR sequence <= (
         SELECT max(sequence) FROM commands) - ?) LIMIT ?)`,
    [oldest, DELIVERED_KEPT_MAX, PRUNE_BATCH_ROWS],
  );
}

/** Wakes those who wait. A ring while nobody waits is not lost: the next wait returns at once. */
function bell(): { ring(): void; wait(signal: AbortSignal): Promise<void> } {
  let rung = false;
  let waiters: (() => void)[] = [];
  return {
    ring: () => {
      rung = waiters.length === 0;
      for (const wake of waiters.splice(0)) {
        wake();
      }
    },
    wait: (signal) => {
      if (rung || signal.aborted) {
        rung = false;
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        const wake = () => {
          signal.removeEventListener('abort', wake);
          waiters = waiters.filter((waiter) => waiter !== wake);
          resolve();
        };
        waiters.push(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    },
  };
}
