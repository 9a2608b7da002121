import type { Database } from 'bun:sqlite';
import { type Bell, bell } from '../../core/bell.ts';
import { AgentError } from '../../core/errors.ts';
import type { Clock, RunSoon } from '../../core/ports.ts';
import type { CommandRow, CommandsAnswer } from '../../protocol/local-commands.ts';
import type { CommandsQuery } from '../../protocol/local-queries.ts';
import type { Command, CommandResult } from '../../protocol/rest.ts';
import { probeDisk, storeRebornAt } from '../database.ts';
import { type CommitTimes, type GroupCommit, groupCommit } from '../group-commit.ts';
import {
  type AcceptOutcome,
  beginCommand,
  type CancelOutcome,
  type CommandPast,
  type CommandTable,
  cancelCommand,
  commandDelivered,
  finishCommand,
  insertCommand,
  noteCheckpoint,
  refusalOf,
  type WrittenCommand,
} from './changes.ts';
import { listCommands, type RememberedCommand, readCommand, readRow } from './listing.ts';
import {
  deleteTexts,
  insertPiece,
  nextTextSet,
  type PartedCommand,
  partLongTexts,
  piecesOf,
  withLongTexts,
} from './long-texts.ts';
import { pruneJournal } from './pruning.ts';
import {
  type JournalCounts,
  type JournalEntry,
  type PendingResult,
  readEntry,
  readNext,
  readOldest,
  readPending,
  readTotals,
} from './rows.ts';
import { type JournalSharing, journalSharing } from './sharing.ts';

/** Bytes of results given out at once; a larger result comes alone. */
export const PENDING_BYTES_MAX = 8 * 1024 * 1024;
/** Largest checkpoint of a command, bytes. */
export const CHECKPOINT_BYTES_MAX = 1024 * 1024;
/**
 * Type in the stored JSON of a command with long texts: an agent that does not know where they are
 * must not run it without them. The column `type` has the true one.
 */
const PARTED_TYPE = 'with long texts';
/** How far the clocks of the control plane and of this machine may be apart. */
export const CLOCKS_APART_MS = 60_000;

/**
 * The durable memory of commands: accepted once, run, answered once. When a promise resolves, what
 * it was asked for is on the disk; all that is asked for in one turn of the event loop shares one
 * commit. Each may reject with DISK_FULL, FILE_ACCESS or BUSY: then nothing was changed.
 */
export interface CommandJournal {
  /**
   * Takes a command in; its id is the idempotency key. A delivered duplicate is sent again.
   * @param past of a command that the cluster has a record of
   */
  accept(command: Command, past?: CommandPast): Promise<AcceptOutcome>;
  /** Asks a command to stop. */
  cancel(commandId: string): Promise<CancelOutcome>;
  /** The oldest unfinished command with a larger sequence; its long texts are empty. */
  nextOpen(afterSequence: number): JournalEntry | undefined;
  /** An unfinished command; its long texts are empty. */
  find(commandId: string): JournalEntry | undefined;
  /** The same with its long texts; others run while they are read. */
  whole(entry: JournalEntry): Promise<JournalEntry>;
  /** Commands that were asked to stop since the last call. */
  takeCancelled(): readonly string[];
  /** @returns the number of this attempt, from 1 */
  begin(commandId: string): Promise<number>;
  /** Notes what a later attempt must know; JSON. */
  checkpoint(commandId: string, value: unknown): Promise<void>;
  /**
   * Ends a command with its result, in one commit; a command that already has a result keeps it.
   */
  finish(commandId: string, result: CommandResult): Promise<void>;
  /** Results not yet taken by the control plane, oldest first. */
  pending(limit: number): readonly PendingResult[];
  delivered(commandId: string): Promise<void>;
  /** Resolves when a command was accepted or is to be cancelled, or at the signal. */
  whenWork(signal: AbortSignal): Promise<void>;
  /** Resolves when a result became pending, or at the signal. */
  whenPending(signal: AbortSignal): Promise<void>;
  counts(): JournalCounts;
  /** When the oldest command in each state was accepted; undefined where there is none. */
  oldest(): Readonly<Record<keyof JournalCounts, Date | undefined>>;
  /** What is remembered, the newest first. */
  list(query: CommandsQuery): CommandsAnswer;
  /** One that is remembered, as in the list. */
  row(commandId: string): CommandRow | undefined;
  /** The same with all that is known of it. */
  show(commandId: string): RememberedCommand | undefined;
  /**
   * Makes room: forgets commands that are too old or too many. While there is trouble it always
   * writes.
   * @returns whether there is more to forget
   */
  prune(): Promise<boolean>;
  /** Reads from the disk; throws when it cannot. */
  check(): void;
  /**
   * Whether a command may have been accepted before the store was damaged and begun anew: by the
   * control plane's clock it was made before that. A command that does not say when it was made
   * counts as new.
   */
  mayHaveRunBefore(command: Command): boolean;
  /** Why the last commit failed; undefined once one worked again. */
  trouble(): AgentError | undefined;
  /** Resolves when every write asked for so far is on the disk or has failed: close it then. */
  settled(): Promise<void>;
  commitTimes(): CommitTimes;
  /** For the servers of one cluster. */
  readonly sharing: JournalSharing;
}

interface Parts {
  readonly table: CommandTable;
  readonly clock: Clock;
  readonly commits: GroupCommit;
  readonly work: Bell;
  readonly results: Bell;
  /** Open commands that were asked to stop and whose executor does not know yet. */
  readonly cancelled: Set<string>;
  /** Commands with long texts come one after the other: each is written in many commits. */
  lastLarge: Promise<unknown>;
  nextTextSet: number;
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
  const table = { database, totals };
  const parts: Parts = {
    table,
    clock,
    commits,
    work,
    results,
    cancelled: new Set(),
    lastLarge: Promise.resolve(),
    nextTextSet: nextTextSet(database),
  };
  return {
    accept: (command, past) => accept(parts, command, past),
    cancel: (commandId) => cancel(parts, commandId),
    nextOpen: (afterSequence) => readNext(database, afterSequence),
    find: (commandId) => readEntry(database, commandId),
    whole: async (entry) => ({
      ...entry,
      command: await withLongTexts(deps, entry.command, entry.textSet ?? 0),
    }),
    takeCancelled: () => {
      const ids = [...parts.cancelled];
      parts.cancelled.clear();
      return ids;
    },
    begin: (commandId) => commits.write(() => beginCommand(table, commandId, clock.now())),
    checkpoint: (commandId, value) => checkpoint(parts, commandId, value),
    finish: (commandId, result) => finish(parts, commandId, result),
    pending: (limit) => readPending(database, limit, PENDING_BYTES_MAX),
    delivered: (commandId) => commits.write(() => commandDelivered(table, commandId)),
    whenWork: work.wait,
    whenPending: results.wait,
    counts: () => {
      const { accepted, running, undelivered } = totals;
      return { accepted, running, undelivered };
    },
    oldest: () => readOldest(database),
    list: (query) => listCommands(database, query),
    row: (commandId) => readRow(database, commandId),
    show: (commandId) => readCommand(database, commandId),
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
    sharing: journalSharing({ table, commits, now: clock.now }, results.ring),
  };
}

async function accept(
  parts: Parts,
  command: Command,
  past: CommandPast | undefined,
): Promise<AcceptOutcome> {
  const parted = partLongTexts(command);
  const outcome = await (parted === undefined
    ? acceptSmall(parts, command, past)
    : inTurn(parts, () => acceptLarge(parts, parted, past)));
  if (outcome === 'accepted') {
    parts.work.ring();
  } else if (outcome === 'duplicate') {
    parts.results.ring();
  }
  return outcome;
}

function acceptSmall(
  { commits, table, clock }: Parts,
  command: Command,
  past: CommandPast | undefined,
): Promise<AcceptOutcome> {
  const whole = written(command);
  return commits.write(() => insertCommand(table, command, whole, clock.now(), past), whole.bytes);
}

function written(command: Command): WrittenCommand {
  const text = JSON.stringify(command);
  return { text, bytes: Buffer.byteLength(text), textSet: null };
}

async function inTurn<T>(parts: Parts, work: () => Promise<T>): Promise<T> {
  const turn = parts.lastLarge.then(work);
  parts.lastLarge = turn.catch(() => undefined);
  return await turn;
}

/**
 * Writes the pieces first, each in its own commit: what a crash leaves is deleted at the next
 * start.
 */
async function acceptLarge(
  parts: Parts,
  { rest, texts }: PartedCommand,
  past: CommandPast | undefined,
): Promise<AcceptOutcome> {
  const { commits, table, clock } = parts;
  const plain = written({ ...rest, type: PARTED_TYPE });
  const bytes = texts.reduce((sum, { text }) => sum + text.length, plain.bytes);
  const refusal = await commits.write(() => refusalOf(table, rest.id, bytes));
  if (refusal !== undefined) {
    return refusal;
  }
  const textSet = parts.nextTextSet;
  parts.nextTextSet += 1;
  try {
    for (const piece of piecesOf(texts)) {
      await commits.write(() => insertPiece(table.database, textSet, piece), piece.piece.length);
    }
    const whole = { text: plain.text, bytes, textSet };
    return await commits.write(
      () => insertCommand(table, rest, whole, clock.now(), past),
      plain.bytes,
    );
  } catch (thrown) {
    // What cannot be deleted now is deleted at the next start.
    await commits.write(() => deleteTexts(table.database, textSet)).catch(() => undefined);
    throw thrown;
  }
}

async function cancel(parts: Parts, commandId: string): Promise<CancelOutcome> {
  const { commits, table, clock } = parts;
  const outcome = await commits.write(() => cancelCommand(table, commandId, clock.now()));
  if (outcome === 'cancelling') {
    parts.cancelled.add(commandId);
    parts.work.ring();
  } else if (outcome === 'finished') {
    parts.results.ring();
  }
  return outcome;
}

async function checkpoint(parts: Parts, commandId: string, value: unknown): Promise<void> {
  const text = JSON.stringify(value);
  const bytes = Buffer.byteLength(text);
  if (bytes > CHECKPOINT_BYTES_MAX) {
    throw new AgentError('INTERNAL', `A checkpoint of ${bytes} bytes is too large`);
  }
  await parts.commits.write(() => noteCheckpoint(parts.table, commandId, text), bytes);
}

async function finish(parts: Parts, commandId: string, result: CommandResult): Promise<void> {
  const { commits, table, clock } = parts;
  const text = JSON.stringify(result);
  await commits.write(
    () => finishCommand(table, commandId, { result, text }, clock.now()),
    text.length,
  );
  parts.results.ring();
}
