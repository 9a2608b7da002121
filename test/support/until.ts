/** Waiting for what happens in this process: for conditions, never for time. */
import { waitUntil } from '../vm/wait-until.ts';

/** On a busy machine, too; what takes longer does not come. */
const LIMIT_MS = 30_000;
const PAUSE_MS_MAX = 4;
/** So many looks in a row that see the same … */
const SAME_LOOKS = 6;
/** … with so long between two: turns of the event loop in which all that can move does. */
const LOOK_PAUSE_MS = 10;

/** @throws Error that names `what` when it does not come to hold */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  await waitUntil(what, LIMIT_MS, async () => await holds(), PAUSE_MS_MAX);
}

/** One turn of the event loop: what is due runs, what has come is read. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Resolves with what is seen once it does not change any more: nothing moves. */
export async function atRest<T>(look: () => T | Promise<T>): Promise<T> {
  let seen = await look();
  for (let same = 0; same < SAME_LOOKS; ) {
    await Bun.sleep(LOOK_PAUSE_MS);
    const now = await look();
    same = Object.is(now, seen) ? same + 1 : 0;
    seen = now;
  }
  return seen;
}
