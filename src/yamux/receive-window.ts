import { INITIAL_WINDOW_BYTES } from './frame.ts';

/**
 * A window of 256 KiB is enough up to this round trip; a larger one would only make a stalled
 * stream hold more and a keystroke wait longer.
 */
const LARGE_WINDOW_ROUND_TRIP_MS = 10;

/** Credit that all streams of a session together may have beyond their first windows, bytes. */
const EXTRA_CREDIT_BYTES = 8 * 1024 * 1024;

/** What the windows of one session share. */
export interface WindowShare {
  /** Credit that is still to be had. */
  extraBytes: number;
  /** Largest window of a stream, bytes. */
  readonly limitBytes: number;
  readonly roundTripMs: () => number;
  readonly monotonic: () => number;
}

export function windowShare(
  limitBytes: number,
  roundTripMs: () => number,
  monotonic: () => number,
): WindowShare {
  return { extraBytes: EXTRA_CREDIT_BYTES, limitBytes, roundTripMs, monotonic };
}

/** How much the peer may send on one stream. */
export class ReceiveWindow {
  readonly #share: WindowShare;
  #sizeBytes = INITIAL_WINDOW_BYTES;
  #creditBytes = INITIAL_WINDOW_BYTES;
  /** Used here, but not yet given back to the peer. */
  #usedBytes = 0;
  #lastGrantMs = Number.NEGATIVE_INFINITY;

  constructor(share: WindowShare) {
    this.#share = share;
  }

  /** @returns false when the peer sent more than it may */
  arrived(bytes: number): boolean {
    this.#creditBytes -= bytes;
    return this.#creditBytes >= 0;
  }

  /**
   * Bytes have left this process.
   * @returns the credit to give to the peer now; 0 until half of a window is due
   */
  used(bytes: number): number {
    this.#usedBytes += bytes;
    if (this.#usedBytes < this.#sizeBytes / 2) {
      return 0;
    }
    const credit = this.#usedBytes + this.#growth();
    this.#usedBytes = 0;
    this.#creditBytes += credit;
    return credit;
  }

  /** Gives back what it has of the shared credit. */
  close(): void {
    this.#share.extraBytes += this.#sizeBytes - INITIAL_WINDOW_BYTES;
    this.#sizeBytes = INITIAL_WINDOW_BYTES;
  }

  /** Half a window in less than two round trips: the window is what holds the peer back. */
  #growth(): number {
    const roundTripMs = this.#share.roundTripMs();
    const now = this.#share.monotonic();
    const sinceGrantMs = now - this.#lastGrantMs;
    this.#lastGrantMs = now;
    const isHeldBack =
      Number.isFinite(roundTripMs) &&
      roundTripMs >= LARGE_WINDOW_ROUND_TRIP_MS &&
      sinceGrantMs < 2 * roundTripMs;
    if (!isHeldBack) {
      return 0;
    }
    const wanted = Math.min(this.#sizeBytes, this.#share.limitBytes - this.#sizeBytes);
    const growth = Math.min(wanted, this.#share.extraBytes);
    this.#share.extraBytes -= growth;
    this.#sizeBytes += growth;
    return growth;
  }
}
