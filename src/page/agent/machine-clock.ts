/**
 * The clock of the machine, as its answers tell it. How long ago something was is reckoned by it: the
 * browser's clock may be any other.
 */

/** An answer tells its time in whole seconds. */
const SECOND_MS = 1_000;

export interface MachineClock {
  /**
   * @param date header `Date` of an answer
   * @param askedAt when it was asked for, monotonic ms
   */
  heard(date: string | null, askedAt: number): void;
  /** Unix ms; by the browser's clock before the first answer. */
  now(): number;
}

/** @param deps `monotonic` ms, and the browser's own clock, Unix ms */
export function machineClock(deps: {
  readonly monotonic: () => number;
  readonly browserNow: () => number;
}): MachineClock {
  /** The machine's time less the monotonic one. */
  let offsetMs: number | undefined;
  return {
    heard: (date, askedAt) => {
      const toldMs = Date.parse(date ?? '');
      if (Number.isNaN(toldMs)) {
        return;
      }
      // It was told between question and answer, and is up to a second later than it says: each answer
      // narrows what the offset can be, and one that does not fit means that the machine's clock was set.
      const least = toldMs - deps.monotonic();
      const most = toldMs + SECOND_MS - askedAt;
      offsetMs = offsetMs === undefined ? least : Math.min(Math.max(offsetMs, least), most);
    },
    now: () => (offsetMs === undefined ? deps.browserNow() : deps.monotonic() + offsetMs),
  };
}
