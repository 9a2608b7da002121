import type { Database } from 'bun:sqlite';
import { type Bell, bell } from '../core/bell.ts';
import { AgentError } from '../core/errors.ts';
import type { Clock, RunSoon } from '../core/ports.ts';
import type { Command, CommandResult } from '../protocol/rest.ts';
import { probeDisk, storeRebornAt } from './database.ts';
import { rememberEarlyCancel, takeEarlyCancel } from './early-cancels.ts';
import { type CommitTimes, type GroupCommit, groupCommit } from './group-commit.ts';
import { pruneJournal } from './journal-pruning.ts';
import {
  type JournalCounts,
  type JournalEntry,
  type JournalTotals,
  type PendingResult,
  readEntry,
  readNext,
  readPending,
  readTotals,
  slimResult,
} from './journal-rows.ts';

/** Commands that wait, run or have a result that nobody took; one more is not accepted. */
export const HELD_COMMANDS_MAX = 5_000;
/** … and their bytes; a result that comes over it loses its output and data. */
export const HELD_BYTES_MAX = 256 * 1024 * 1024;
/** Bytes of results given out at once; one that is larger comes alone. */
export const PENDING_BYTES_MAX = 8 * 1024 * 1024;
/** Largest checkpoint of a command, bytes. */
export const CHECKPOINT_BYTES_MAX = 1024 * 1024;
/** How far the clocks of the control plane and of this machine may be apart. */
export const CLOCKS_APART_MS = 60_000;

export type AcceptOutcome = 'accepted' | 'duplicate' | 'full';
/** finished: too late, its result is sent again. unknown: remembered, in case it comes later. */
export type CancelOutcome = 'cancelling' | 'finished' | 'unknown';

/**
 * The durable memory of commands: accepted once, run, answered once. What is asked for by a promise
 * is on the disk when that resolves; all that is asked for in one turn of the event loop shares one
 * commit. Each may reject with DISK_FULL, FILE_ACCESS or BUSY: then nothing was changed.
 */
export interface CommandJournal {
  /** Takes a command in; its id is the idempotency key. A delivered duplicate is sent again. */
  accept(command: Command): Promise<AcceptOutcome>;
  /** Asks a command to stop. */
  cancel(commandId: string): Promise<CancelOutcome>;
  /** The oldest unfinished command with a larger sequence. */
  nextOpen(afterSequence: number): JournalEntry | undefined;
  /** An unfinished command. */
  find(commandId: string): JournalEntry | undefined;
  /** Commands that were asked to stop since the last call. */
  takeCancelled(): readonly string[];
  /** @returns the number of this attempt, from 1 */
  begin(commandId: string): Promise<number>;
  /** Notes what a later attempt must know; JSON. */
  checkpoint(commandId: string, value: unknown): Promise<void>;
  /** Ends a command with its result, in one commit; a command that has one keeps that. */
  finish(commandId: string, result: CommandResult): Promise<void>;
  /** Results not yet taken by the control plane, oldest first. */
  pending(limit: number): readonly PendingResult[];
  delivered(commandId: string): Promise<void>;
  /** Resolves when a command was accepted or is to be cancelled, or at the signal. */
  whenWork(signal: AbortSignal): Promise<void>;
  /** Resolves when a result became pending, or at the signal. */
  whenPending(signal: AbortSignal): Promise<void>;
  counts(): JournalCounts;
  /**
   * Makes room: forgets what is too old or too much. While there is trouble it writes in any case.
   * @returns whether there is more to forget
   */
  prune(): Promise<boolean>;
  /** Reads from the disk; throws when it cannot. */
  check(): void;
  /**
   * Whether it may have been taken before the store was damaged and begun anew: it was made before
   * that, by the control plane's clock. One that does not say when it was made is taken for new.
   */
  mayHaveRunBefore(command: Command): boolean;
  /** Why the last commit failed; undefined once one worked again. */
  trouble(): AgentError | undefined;
  /** Resolves when every write asked for so far is on the disk or has failed: close it then. */
  settled(): Promise<void>;
  commitTimes(): CommitTimes;
}

interface Parts {
  readonly database: Database;
  readonly clock: Clock;
  readonly commits: GroupCommit;
  readonly totals: JournalTotals;
  readonly work: Bell;
  readonly results: Bell;
  /** Open commands that were asked to stop and whose executor does not know yet. */
  readonly cancelled: Set<string>;
}

export function commandJournal(deps: {
  readonly database: Database;
  readonly clock: Clock;
  readonly runSoon: RunSoon;
}): CommandJournal {
  const { database, clock } = deps;
  const totals = readTotals(database);
  const commits = groupCommit(deps, () => void Object.assign(totals, readTotals(database)));
  const [work, results] = [bell(), bell()];
  const newFromMs = Date.parse(storeRebornAt(database) ?? '') + CLOCKS_APART_MS;
  const parts: Parts = { database, clock, commits, totals, work, results, cancelled: new Set() };
  return {
    accept: (command) => accept(parts, command),
    cancel: (commandId) => cancel(parts, commandId),
    nextOpen: (afterSequence) => readNext(database, afterSequence),
    find: (commandId) => readEntry(database, commandId),
    takeCancelled: () => {
      const ids = [...parts.cancelled];
      parts.cancelled.clear();
      return ids;
    },
    begin: (commandId) => begin(parts, commandId),
    checkpoint: (commandId, value) => checkpoint(parts, commandId, value),
    finish: (commandId, result) => finish(parts, commandId, result),
    pending: (limit) => readPending(database, limit, PENDING_BYTES_MAX),
    delivered: (commandId) => delivered(parts, commandId),
    whenWork: work.wait,
    whenPending: results.wait,
    counts: () => {
      const { accepted, running, undelivered } = totals;
      return { accepted, running, undelivered };
    },
    prune: () =>
      commits.write(() => {
        if (commits.trouble() !== undefined) {
          probeDisk(database, clock.now());
        }
        return pruneJournal(database, totals, clock.now());
      }),
    check: () => void database.query('SELECT max(sequence) FROM commands').get(),
    mayHaveRunBefore: ({ created_at: createdAt }) =>
      // A date that cannot be read compares as false.
      Date.parse(createdAt ?? '') < newFromMs,
    trouble: commits.trouble,
    settled: commits.settled,
    commitTimes: commits.times,
  };
}

async function accept(parts: Parts, command: Command): Promise<AcceptOutcome> {
  const text = JSON.stringify(command);
  const bytes = Buffer.byteLength(text);
  const outcome = await parts.commits.write(() => insert(parts, command, text, bytes), bytes);
  if (outcome === 'accepted') {
    parts.work.ring();
  } else if (outcome === 'duplicate') {
    parts.results.ring();
  }
  return outcome;
}

function insert(parts: Parts, command: Command, text: string, bytes: number): AcceptOutcome {
  const { database, totals } = parts;
  if (stateOf(database, command.id) !== undefined) {
    // The control plane asks again because it did not get the result: it is sent again.
    sendAgain(parts, command.id);
    return 'duplicate';
  }
  const held = totals.accepted + totals.running + totals.undelivered;
  if (held >= HELD_COMMANDS_MAX || totals.heldBytes + bytes > HELD_BYTES_MAX) {
    return 'full';
  }
  const now = parts.clock.now();
  const cancelledAt = takeEarlyCancel(database, command.id, now);
  database.run(
    `INSERT INTO commands (id, type, state, bytes, accepted_at, cancelled_at, command)
     VALUES (?, ?, 'accepted', ?, ?, ?, ?)`,
    [command.id, command.type, bytes, now.toISOString(), cancelledAt, text],
  );
  totals.accepted += 1;
  totals.heldBytes += bytes;
  return 'accepted';
}

async function cancel(parts: Parts, commandId: string): Promise<CancelOutcome> {
  const { commits, database, clock } = parts;
  const outcome = await commits.write(() => {
    const now = clock.now();
    switch (stateOf(database, commandId)) {
      case undefined:
        rememberEarlyCancel(database, commandId, now);
        return 'unknown';
      case 'done':
      case 'delivered':
        sendAgain(parts, commandId);
        return 'finished';
      default:
        database.run('UPDATE commands SET cancelled_at = coalesce(cancelled_at, ?) WHERE id = ?', [
          now.toISOString(),
          commandId,
        ]);
        return 'cancelling';
    }
  });
  if (outcome === 'cancelling') {
    parts.cancelled.add(commandId);
    parts.work.ring();
  } else if (outcome === 'finished') {
    parts.results.ring();
  }
  return outcome;
}

function begin({ commits, database, totals, clock }: Parts, commandId: string): Promise<number> {
  return commits.write(() => {
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
      .get(clock.now().toISOString(), commandId);
    if (row === null) {
      throw new Error(`The command ${commandId} is not open`);
    }
    return row.attempts;
  });
}

async function checkpoint(parts: Parts, commandId: string, value: unknown): Promise<void> {
  const text = JSON.stringify(value);
  const bytes = Buffer.byteLength(text);
  if (bytes > CHECKPOINT_BYTES_MAX) {
    throw new AgentError('INTERNAL', `A checkpoint of ${bytes} bytes is too large`);
  }
  await parts.commits.write(() => {
    parts.database.run("UPDATE commands SET checkpoint = ? WHERE id = ? AND state = 'running'", [
      text,
      commandId,
    ]);
  }, bytes);
}

async function finish(parts: Parts, commandId: string, result: CommandResult): Promise<void> {
  const { commits, database, totals, clock } = parts;
  const whole = JSON.stringify(result);
  await commits.write(() => {
    const row = database
      .query<{ state: string; bytes: number }, [string]>(
        "SELECT state, bytes FROM commands WHERE id = ? AND state IN ('accepted', 'running')",
      )
      .get(commandId);
    if (row === null) {
      return;
    }
    const fits = totals.heldBytes - row.bytes + whole.length <= HELD_BYTES_MAX;
    const text = fits ? whole : JSON.stringify(slimResult(result));
    const bytes = Buffer.byteLength(text);
    // The command itself is not needed any more: its id is enough to know it again.
    database.run(
      `UPDATE commands SET state = 'done', result = ?, bytes = ?, finished_at = ?, command = NULL,
         checkpoint = NULL WHERE id = ?`,
      [text, bytes, clock.now().toISOString(), commandId],
    );
    totals[row.state === 'running' ? 'running' : 'accepted'] -= 1;
    totals.undelivered += 1;
    totals.heldBytes += bytes - row.bytes;
  }, whole.length);
  parts.results.ring();
}

function delivered({ commits, database, totals }: Parts, commandId: string): Promise<void> {
  return commits.write(() => {
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
  });
}

/** Makes a delivered result pending again; within a transaction. */
function sendAgain({ database, totals }: Parts, commandId: string): void {
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

type State = 'accepted' | 'running' | 'done' | 'delivered';

function stateOf(database: Database, commandId: string): State | undefined {
  return database
    .query<{ state: State }, [string]>('SELECT state FROM commands WHERE id = ?')
    .get(commandId)?.state;
}
