/**
 * Keeps the control plane's copy of a table equal to the one here. Changes are told row by row; the
 * whole table at each registration, from time to time, and whenever it is uncertain what the
 * control plane knows. Nothing waits for it, and its trouble affects nothing else.
 */

import { backoffMs } from '../core/backoff.ts';
import { bell, rungWithin } from '../core/bell.ts';
import { limitedLog } from '../core/limited-log.ts';
import type { Clock, Log, Random } from '../core/ports.ts';
import { type CallOutcome, persistentCall } from './persistent-call.ts';

/** More changes than this at once are sent as the whole table. */
export const CHANGES_MAX = 32;
/**
 * After all tries of a call failed, everything is told anew: at first within this time, then ever
 * later.
 */
const LATER = { firstMs: 30_000, capMs: 15 * 60_000 };
/**
 * A control plane that has no such calls, or refuses the token for them, is asked again after this,
 * and at the next session.
 */
export const NOT_OFFERED_PAUSE_MS = 3_600_000;

export type Table<Row> = ReadonlyMap<string, Row>;

/** The table to replicate, and how to change the copy. The calls throw the errors of `restCall`. */
export interface Replicated<Row> {
  /** For the log: `routes`. */
  readonly name: string;
  /** Undefined while it is not known here. A table that was returned never changes. */
  wanted(): Table<Row> | undefined;
  /** Makes the copy exactly this. */
  replaceAll(rows: Table<Row>, signal: AbortSignal): Promise<void>;
  /** @param before the row as it was last told */
  put(row: Row, before: Row | undefined, signal: AbortSignal): Promise<void>;
  remove(row: Row, signal: AbortSignal): Promise<void>;
  /** Whether `put` turns one into the other, so that nothing of `before` is left. */
  canPut(before: Row, after: Row): boolean;
  /** The whole table is told again after this. */
  syncEveryMs(): number;
}

export interface Replica {
  /** The table here may have changed. */
  changed(): void;
  /** There is a new session: it is unknown what the control plane remembers. */
  registered(): void;
  /** Until the signal aborts; rejects only for a bug. */
  run(signal: AbortSignal): Promise<void>;
}

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

type Change<Row> =
  | {
      readonly kind: 'put';
      readonly key: string;
      readonly row: Row;
      readonly before: Row | undefined;
    }
  | { readonly kind: 'remove'; readonly key: string; readonly row: Row };

export function replica<Row>(deps: Deps, table: Replicated<Row>): Replica {
  const wake = bell();
  const copy = new Copy(deps, table);
  return {
    changed: wake.ring,
    registered: () => {
      copy.registered();
      wake.ring();
    },
    run: async (signal) => {
      while (!signal.aborted) {
        const idleMs = await copy.bringUpToDate(signal);
        await rungWithin(deps, wake, idleMs, signal);
      }
    },
  };
}

/** What is known of the copy at the control plane. */
class Copy<Row> {
  readonly #deps: Deps;
  readonly #table: Replicated<Row>;
  readonly #warnOfRejection: ReturnType<typeof limitedLog>;
  /** What the control plane was told, and may still remember. */
  #told: Table<Row> = new Map();
  #isRegistered = false;
  /** The whole table must be told before anything else. */
  #syncDue = true;
  /** The whole table was refused: rows are sent one by one until it is tried again. */
  #syncRefused = false;
  #syncedAt = Number.NEGATIVE_INFINITY;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  /** Calls that failed in a row, with all their tries. */
  #failures = 0;

  constructor(deps: Deps, table: Replicated<Row>) {
    this.#deps = deps;
    this.#table = table;
    this.#warnOfRejection = limitedLog(deps.clock, (message, fields) =>
      deps.log.warn(message, fields),
    );
  }

  registered(): void {
    this.#isRegistered = true;
    this.#syncDue = true;
    this.#pausedUntil = Number.NEGATIVE_INFINITY;
  }

  /**
   * Tells the control plane what it does not know yet.
   * @returns how long there is nothing to do unless something changes, ms
   */
  async bringUpToDate(signal: AbortSignal): Promise<number> {
    while (!signal.aborted) {
      const wanted = this.#isRegistered ? this.#table.wanted() : undefined;
      const now = this.#deps.clock.monotonic();
      const syncInMs = this.#syncedAt + this.#table.syncEveryMs() - now;
      if (wanted === undefined || now < this.#pausedUntil) {
        return wanted === undefined ? this.#table.syncEveryMs() : this.#pausedUntil - now;
      }
      const changes = changesBetween(this.#told, wanted);
      if (this.#syncDue || syncInMs <= 0 || !this.#canTellOneByOne(changes)) {
        await this.#tellAll(wanted, signal);
      } else if (changes.length === 0) {
        return syncInMs;
      } else {
        await this.#tellOneByOne(changes, signal);
      }
    }
    return 0;
  }

  #canTellOneByOne(changes: readonly Change<Row>[]): boolean {
    const isSimple = (change: Change<Row>) =>
      change.kind === 'remove' ||
      change.before === undefined ||
      this.#table.canPut(change.before, change.row);
    return this.#syncRefused || (changes.length <= CHANGES_MAX && changes.every(isSimple));
  }

  async #tellAll(wanted: Table<Row>, signal: AbortSignal): Promise<void> {
    this.#syncDue = false;
    const outcome = await this.#call({ rows: wanted.size }, signal, () =>
      this.#table.replaceAll(wanted, signal),
    );
    this.#syncedAt = this.#deps.clock.monotonic();
    this.#syncRefused = outcome.kind === 'refused';
    if (outcome.kind === 'done') {
      this.#told = wanted;
    } else if (outcome.kind === 'refused') {
      // One bad row may be the reason, so each row is sent on its own, and unwanted ones are
      // removed.
      this.#told = new Map([...this.#told].filter(([key]) => !wanted.has(key)));
    }
  }

  async #tellOneByOne(changes: readonly Change<Row>[], signal: AbortSignal): Promise<void> {
    const told = new Map(this.#told);
    this.#told = told;
    for (const change of changes) {
      const outcome = await this.#call({ row: change.key }, signal, () =>
        change.kind === 'remove'
          ? this.#table.remove(change.row, signal)
          : this.#table.put(change.row, change.before, signal),
      );
      const isDecided = outcome.kind === 'done' || outcome.kind === 'refused';
      if (change.kind === 'put') {
        told.set(change.key, change.row);
      } else if (isDecided) {
        told.delete(change.key);
      }
      if (!isDecided || this.#syncDue) {
        return;
      }
    }
  }

  /** One call with its tries, and the consequences of its outcome. */
  async #call(
    what: Readonly<Record<string, string | number>>,
    signal: AbortSignal,
    call: () => Promise<void>,
  ): Promise<CallOutcome> {
    const outcome = await persistentCall(this.#deps, call, signal);
    const fields = { table: this.#table.name, ...what };
    const now = this.#deps.clock.monotonic();
    switch (outcome.kind) {
      case 'done':
        this.#failures = 0;
        this.#deps.log.debug('the control plane was told', fields);
        return outcome;
      case 'interrupted':
        this.#syncDue = true;
        return outcome;
      case 'refused':
        this.#failures = 0;
        this.#warnOfRejection('the control plane refuses what it was told', {
          ...fields,
          error: outcome.error.message,
        });
        return outcome;
      case 'not-offered':
        this.#pausedUntil = now + NOT_OFFERED_PAUSE_MS;
        break;
      case 'failed': {
        const laterMs = LATER.firstMs / 2 + backoffMs(this.#deps, LATER, this.#failures);
        this.#failures += 1;
        this.#pausedUntil = now + Math.max(laterMs, outcome.pauseMs);
      }
    }
    this.#syncDue = true;
    this.#deps.log.info('the control plane could not be told; later again', {
      ...fields,
      error_code: outcome.error.code,
      error: outcome.error.message,
      retry_in_ms: Math.round(this.#pausedUntil - now),
    });
    return outcome;
  }
}

function changesBetween<Row>(told: Table<Row>, wanted: Table<Row>): readonly Change<Row>[] {
  const changes: Change<Row>[] = [];
  for (const [key, row] of told) {
    if (!wanted.has(key)) {
      changes.push({ kind: 'remove', key, row });
    }
  }
  for (const [key, row] of wanted) {
    const before = told.get(key);
    if (!Bun.deepEquals(before, row)) {
      changes.push({ kind: 'put', key, before, row });
    }
  }
  return changes;
}
