import type { Clock } from '../core/ports.ts';

/** How exact a deadline is. */
const TICK_MS = 1_000;

interface Deadline {
  readonly dueMs: number;
  readonly due: () => void;
}

/**
 * Deadlines to the second for many things with one timer: a timer for each stream would cost more
 * than the stream. Each key has at most one.
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

  /** Watches them until the signal; then all are due. */
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
