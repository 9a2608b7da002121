import type { RunSoon } from '../core/ports.ts';

/** Runs things once at the end of a turn of the event loop: the tasks, and after them `last`. */
export class TurnEnd {
  readonly #runSoon: RunSoon;
  readonly #last: () => void;
  #tasks: (() => void)[] = [];
  #isDue = false;

  constructor(deps: { readonly runSoon: RunSoon }, last: () => void) {
    this.#runSoon = deps.runSoon;
    this.#last = last;
  }

  add(task: () => void): void {
    this.#tasks.push(task);
    this.request();
  }

  /** There is something for `last`. */
  request(): void {
    if (this.#isDue) {
      return;
    }
    this.#isDue = true;
    this.#runSoon(() => {
      const tasks = this.#tasks;
      this.#tasks = [];
      for (const task of tasks) {
        task();
      }
      this.#isDue = false;
      this.#last();
    });
  }
}
