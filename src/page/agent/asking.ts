/** When something is asked anew: after a while, and soon after news of it. One question at a time. */

/** News that come within this time after a question are answered by one more, ms. */
const GATHER_MS = 500;

interface AskingDeps {
  /** Monotonic ms. */
  readonly monotonic: () => number;
  readonly setTimer: (work: () => void, ms: number) => number;
  readonly clearTimer: (timer: number) => void;
  /** While nobody looks, nothing is asked. */
  readonly isLookedAt: () => boolean;
}

export interface Asking {
  /** There are news. */
  soon(): void;
  /** Somebody looks again, or wants to know at once. */
  now(): void;
  /** The pause may have become shorter. */
  repace(): void;
  end(): void;
}

/** @param pauseMs until the next question where there are no news */
export function asking(deps: AskingDeps, ask: () => Promise<void>, pauseMs: () => number): Asking {
  let timer: number | undefined;
  let dueAt = Number.POSITIVE_INFINITY;
  let askedAt = Number.NEGATIVE_INFINITY;
  let isUnderWay = false;
  let isOver = false;
  /** News came while it was asked, or while nobody looked. */
  let isOld = false;
  const within = (ms: number) => {
    const at = deps.monotonic() + ms;
    if (isOver || at >= dueAt) {
      return;
    }
    if (timer !== undefined) {
      deps.clearTimer(timer);
    }
    dueAt = at;
    timer = deps.setTimer(() => void look(), ms);
  };
  const look = async () => {
    timer = undefined;
    dueAt = Number.POSITIVE_INFINITY;
    if (!deps.isLookedAt()) {
      isOld = true;
      return;
    }
    isUnderWay = true;
    isOld = false;
    askedAt = deps.monotonic();
    await ask();
    isUnderWay = false;
    within(isOld ? GATHER_MS : pauseMs());
  };
  const soon = (ms: number) => {
    if (isUnderWay) {
      isOld = true;
    } else {
      within(ms);
    }
  };
  return {
    soon: () => soon(Math.max(0, askedAt + GATHER_MS - deps.monotonic())),
    now: () => soon(0),
    repace: () => soon(pauseMs()),
    end: () => {
      isOver = true;
      if (timer !== undefined) {
        deps.clearTimer(timer);
      }
    },
  };
}
