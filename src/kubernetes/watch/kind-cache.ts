import type { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { settledOrAborted } from '../../core/waiting.ts';
import type { InformerSink } from './informer.ts';

/** Changes remembered for deltas; a reader that asks for older ones has to take everything anew. */
export const CHANGES_MAX = 10_000;
/** After this long without Kubernetes, what was known of it counts as unknown. */
export const STALE_AFTER_MS = 5 * 60_000;

export interface KindCacheOptions<T, Row> {
  /** What identifies an object among those of its kind: `name` or `namespace/name`. */
  readonly key: (object: T) => string;
  /** What is kept of an object: little, and never the object itself. */
  readonly pick: (object: T) => Row;
}

export interface Changes<Row> {
  readonly changed: Row[];
  /** Keys. */
  readonly removed: string[];
}

/** The objects of one kind as an informer tells of them, and what changed of late. */
export class KindCache<T, Row> implements InformerSink<T> {
  readonly #clock: Clock;
  readonly #options: KindCacheOptions<T, Row>;
  readonly #rows = new Map<string, Row>();
  /** Key to generation, oldest change first; a key without a row was removed. */
  readonly #changes = new Map<string, number>();
  readonly #firstList = Promise.withResolvers<void>();
  /** While a list comes: the keys that it has not named yet. */
  #unseen = new Set<string>();
  #generation = 0;
  /** Changes up to here are not remembered. */
  #forgotten = 0;
  #isListed = false;
  #trouble: AgentError | undefined;
  #troubleSince = 0;

  constructor(deps: { readonly clock: Clock }, options: KindCacheOptions<T, Row>) {
    this.#clock = deps.clock;
    this.#options = options;
  }

  /** Why Kubernetes is out of reach; undefined while it is not. */
  get trouble(): AgentError | undefined {
    return this.#trouble;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Counts up with every change. */
  get generation(): number {
    return this.#generation;
  }

  listing(): void {
    this.#unseen = new Set(this.#rows.keys());
  }

  put(object: T): void {
    const key = this.#options.key(object);
    const row = this.#options.pick(object);
    this.#unseen.delete(key);
    // Most changes of an object touch nothing that is reported.
    if (!Bun.deepEquals(this.#rows.get(key), row)) {
      this.#rows.set(key, row);
      this.#noteChange(key);
    }
  }

  remove(object: T): void {
    this.#drop(this.#options.key(object));
  }

  listed(): void {
    for (const key of this.#unseen) {
      this.#drop(key);
    }
    this.#unseen.clear();
    if (!this.#isListed) {
      this.#isListed = true;
      this.#forgotten = this.#generation;
    }
    this.#firstList.resolve();
  }

  reached(): void {
    this.#trouble = undefined;
  }

  failed(error: AgentError): void {
    if (this.#trouble === undefined) {
      this.#troubleSince = this.#clock.monotonic();
    }
    this.#trouble = error;
    this.#firstList.resolve();
  }

  /** Whether the rows are those of Kubernetes: listed once, and not long out of reach since. */
  isKnown(): boolean {
    const stale =
      this.#trouble !== undefined && this.#clock.monotonic() - this.#troubleSince >= STALE_AFTER_MS;
    return this.#isListed && !stale;
  }

  /** Resolves when the first list is there or has failed, or at the signal. */
  settled(signal: AbortSignal): Promise<void> {
    return settledOrAborted(this.#firstList.promise, signal);
  }

  /** The rows of this moment; they never change afterwards. */
  rows(): Row[] {
    return [...this.#rows.values()];
  }

  /** What changed after that generation; undefined when that is not remembered. */
  changesSince(generation: number): Changes<Row> | undefined {
    if (generation < this.#forgotten) {
      return undefined;
    }
    const changed: Row[] = [];
    const removed: string[] = [];
    for (const [key, changedAt] of this.#changes) {
      if (changedAt > generation) {
        const row = this.#rows.get(key);
        if (row === undefined) {
          removed.push(key);
        } else {
          changed.push(row);
        }
      }
    }
    return { changed, removed };
  }

  #drop(key: string): void {
    this.#unseen.delete(key);
    if (this.#rows.delete(key)) {
      this.#noteChange(key);
    }
  }

  #noteChange(key: string): void {
    this.#generation += 1;
    if (!this.#isListed) {
      return; // Nobody has a report from before the first list.
    }
    this.#changes.delete(key);
    this.#changes.set(key, this.#generation);
    if (this.#changes.size > CHANGES_MAX) {
      const [oldest] = this.#changes;
      if (oldest !== undefined) {
        this.#changes.delete(oldest[0]);
        this.#forgotten = oldest[1];
      }
    }
  }
}
