import type { Database } from 'bun:sqlite';
import { AgentError } from '../core/errors.ts';
import type { Clock, RunSoon } from '../core/ports.ts';
import { machineTrouble } from './trouble.ts';

/** Writes of one commit, at most; the rest goes into the commit of the next turn. */
const COMMIT_WRITES_MAX = 200;
/** Bytes of one commit, about: a large command or result has one nearly for itself. */
const COMMIT_BYTES_MAX = 1024 * 1024;
/** Writes that wait, at most. Callers wait for each of their own, so that it is not reached. */
const WAITING_WRITES_MAX = 10_000;
/** Newest commits whose times are counted. */
const TIMED_COMMITS = 1_000;

export interface CommitTimes {
  /** Commits since the start. */
  readonly count: number;
  /** Milliseconds that the newest 1 000 commits blocked the event loop; 0 before the first one. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface GroupCommit {
  /**
   * Runs the statements in the transaction of this turn of the event loop.
   * @param bytes about how much it writes
   * @returns what `work` gave, when it is on the disk
   * @throws AgentError DISK_FULL, FILE_ACCESS or BUSY: nothing was written, and it may work later
   */
  write<T>(work: () => T, bytes?: number): Promise<T>;
  /** Resolves when every write asked for so far is on the disk or has failed. */
  settled(): Promise<void>;
  /** Why the last commit failed; undefined once one worked again. */
  trouble(): AgentError | undefined;
  times(): CommitTimes;
}

interface Write {
  readonly bytes: number;
  /** Runs the statements. @returns what tells the caller, once they are committed */
  readonly run: () => () => void;
  readonly fail: (error: AgentError) => void;
}

/**
 * Joins the writes of one turn of the event loop into one transaction: the sync to the disk is what
 * costs, and it costs the same for one write as for a hundred. The one place where the event loop
 * waits for the disk.
 * @param onRollback called when nothing of a transaction was kept
 */
export function groupCommit(
  deps: { readonly database: Database; readonly clock: Clock; readonly runSoon: RunSoon },
  onRollback: () => void,
): GroupCommit {
  const { database, clock, runSoon } = deps;
  const times = commitTimes();
  let waiting: Write[] = [];
  let trouble: AgentError | undefined;

  const commit = () => {
    const writes = firstWrites(waiting);
    waiting = waiting.slice(writes.length);
    if (waiting.length > 0) {
      runSoon(commit);
    }
    const startedAt = clock.monotonic();
    const changesBefore = totalChanges(database);
    try {
      const tell = database.transaction(() => writes.map((write) => write.run()))();
      // A commit that changed nothing says nothing about the disk.
      trouble = totalChanges(database) === changesBefore ? trouble : undefined;
      times.add(clock.monotonic() - startedAt);
      for (const each of tell) {
        each();
      }
    } catch (thrown) {
      onRollback();
      const error = explained(database, thrown);
      trouble = error;
      for (const write of writes) {
        write.fail(error);
      }
    }
  };

  const enqueue = (write: Write) => {
    waiting.push(write);
    if (waiting.length === 1) {
      runSoon(commit);
    }
  };

  return {
    write: (work, bytes = 0) =>
      new Promise((resolve, reject) => {
        if (waiting.length >= WAITING_WRITES_MAX) {
          reject(
            new AgentError('BUSY', 'Too many writes wait for the journal', {
              hint: 'The disk is slow: look at its load. What was not taken comes again',
            }),
          );
          return;
        }
        const run = () => {
          const value = work();
          return () => resolve(value);
        };
        enqueue({ bytes, run, fail: reject });
      }),
    // Writes keep their order, so that an empty one comes after all others.
    settled: () =>
      new Promise((resolve) => enqueue({ bytes: 0, run: () => resolve, fail: () => resolve() })),
    trouble: () => trouble,
    times: times.summary,
  };
}

function totalChanges(database: Database): number {
  const row = database.query<{ total: number }, []>('SELECT total_changes() AS total').get();
  return row?.total ?? 0;
}

function explained(database: Database, thrown: unknown): AgentError {
  return (
    machineTrouble('write the journal', database.filename, thrown) ??
    // Ends the daemon: the next start checks the store and sets a damaged one aside.
    new AgentError('INTERNAL', 'The journal cannot be written', { cause: thrown })
  );
}

function firstWrites(waiting: readonly Write[]): readonly Write[] {
  let bytes = 0;
  const over = waiting.findIndex((write, index) => {
    bytes += write.bytes;
    return index > 0 && (index >= COMMIT_WRITES_MAX || bytes > COMMIT_BYTES_MAX);
  });
  return over === -1 ? waiting : waiting.slice(0, over);
}

function commitTimes(): { add(ms: number): void; summary(): CommitTimes } {
  const newest = new Float64Array(TIMED_COMMITS);
  let count = 0;
  return {
    add: (ms) => {
      newest[count % TIMED_COMMITS] = ms;
      count += 1;
    },
    summary: () => {
      const sorted = newest.slice(0, Math.min(count, TIMED_COMMITS)).sort();
      const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
      return { count, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
    },
  };
}
