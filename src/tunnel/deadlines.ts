import type { Clock } from '../core/ports.ts';

/** Precision of the deadlines. */
const TICK_MS = 1_000;

interface Deadline {
  readonly dueMs: number;
  readonly due: () => void;
}

/**
 * Deadlines to the second for many keys with one timer: a timer for each stream would cost more
 * than the stream. Each key has at most one deadline.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #deadlines = new Map<object, Deadline>();

  constructor(deps: { readonly clock: Clock }) {
    this.#clock = deps.clock;
  }

  set(key: object, ms: number, due: () => void): void {
    this.#deadlines.set(key, { dueMs: this.#clock.monotonic() + ms, due });
  }

  clear(key: object): void {
    this.#deadlines.delete(key);
  }

  /** Watches the deadlines until the signal; then all of them are due. */
  async run(signal: AbortSignal): Promise<void> {
    while (await this.#clock.sleep(TICK_MS, signal)) {
      this.#end(this.#clock.monotonic());
    }
    this.#end(Number.POSITIVE_INFINITY);
  }

  #end(now: number): void {
    for (const [key, { dueMs, due }] of [...this.#deadlines]) {
      if (dueMs <= now && this.#deadlines.delete(key)) {
        due();
      }
    }
  }
}
