import type { Clock } from '../core/ports.ts';

/**
 * How much may be on its way: sent, but not known to be read. The rest waits here, where a
 * keystroke can pass it, and not in the buffers of the network, where nothing can.
 */
const CAP_BYTES = { lowest: 64 * 1024, first: 1024 * 1024, highest: 8 * 1024 * 1024 };

/** A mark goes out after this part of the cap. */
const MARKS_PER_CAP = 4;

/** With less than this over the shortest round trip, nothing queues on the way: grow. */
const SHORT_QUEUE_MS = 5;
/** With more than this, too much queues: shrink. */
const LONG_QUEUE_MS = 20;
const SHRINK_FACTOR = 0.75;

/** The shortest round trip is that of the last one or two of these: routes change. */
const SHORTEST_ROUND_TRIP_PERIOD_MS = 60_000;

interface Mark {
  readonly value: number;
  /** Sent since the mark before. */
  readonly bytes: number;
  readonly sentMs: number;
}

/**
 * Knows by marks, which are yamux pings between the data, how much the peer has read: it answers a
 * ping when it has read everything before it. The round trips also tell how long the queue on the
 * way is, and the cap follows that: grow while it is short, shrink while it is long.
 */
export class InFlight {
  readonly #clock: Clock;
  readonly #sendPing: (value: number) => void;
  readonly #marks: Mark[] = [];
  #capBytes = CAP_BYTES.first;
  #bytes = 0;
  #sinceMark = 0;
  #nextValue = 1;
  /** Marks sent before this have not seen the last change of the cap. */
  #shrunkMs = Number.NEGATIVE_INFINITY;
  #wasFull = false;
  #periodBeganMs = 0;
  #shortestMs = Number.POSITIVE_INFINITY;
  #shortestBeforeMs = Number.POSITIVE_INFINITY;
  #lastAnswerMs: number;

  constructor(deps: { readonly clock: Clock }, sendPing: (value: number) => void) {
    this.#clock = deps.clock;
    this.#sendPing = sendPing;
    this.#lastAnswerMs = deps.clock.monotonic();
  }

  /** Infinity before the first answer. */
  get shortestRoundTripMs(): number {
    return Math.min(this.#shortestMs, this.#shortestBeforeMs);
  }

  get capBytes(): number {
    return this.#capBytes;
  }

  /** How much one stream may send before the next one has its turn. */
  get quantumBytes(): number {
    return Math.floor(this.#capBytes / MARKS_PER_CAP);
  }

  /** When there is no room, a mark is under way: its answer will make room. */
  hasRoom(): boolean {
    if (this.#bytes < this.#capBytes) {
      return true;
    }
    this.#wasFull = true;
    if (this.#marks.length === 0) {
      this.mark();
    }
    return false;
  }

  /** Since when an answer is due; undefined when none is. */
  get waitingSinceMs(): number | undefined {
    const oldest = this.#marks[0];
    return oldest === undefined ? undefined : Math.max(oldest.sentMs, this.#lastAnswerMs);
  }

  sent(bytes: number): void {
    this.#bytes += bytes;
    this.#sinceMark += bytes;
    if (this.#sinceMark >= this.quantumBytes) {
      this.mark();
    }
  }

  /** Sends a mark. It also keeps a silent connection alive. */
  mark(): void {
    const value = this.#nextValue;
    this.#nextValue = (value + 1) >>> 0;
    this.#marks.push({ value, bytes: this.#sinceMark, sentMs: this.#clock.monotonic() });
    this.#sinceMark = 0;
    this.#sendPing(value);
  }

  /** @returns whether it answers one of our marks */
  answered(value: number): boolean {
    const index = this.#marks.findIndex((mark) => mark.value === value);
    if (index < 0) {
      return false;
    }
    const now = this.#clock.monotonic();
    for (const mark of this.#marks.splice(0, index + 1)) {
      this.#bytes -= mark.bytes;
      if (mark.value === value) {
        this.#learn(mark, now);
      }
    }
    this.#lastAnswerMs = now;
    return true;
  }

  #learn(mark: Mark, now: number): void {
    const roundTripMs = now - mark.sentMs;
    if (now - this.#periodBeganMs > SHORTEST_ROUND_TRIP_PERIOD_MS) {
      this.#periodBeganMs = now;
      this.#shortestBeforeMs = this.#shortestMs;
      this.#shortestMs = roundTripMs;
    }
    this.#shortestMs = Math.min(this.#shortestMs, roundTripMs);
    const queueMs = roundTripMs - this.shortestRoundTripMs;
    if (queueMs > LONG_QUEUE_MS) {
      if (mark.sentMs >= this.#shrunkMs) {
        const shrunkBytes = Math.floor(this.#capBytes * SHRINK_FACTOR);
        this.#capBytes = Math.max(CAP_BYTES.lowest, shrunkBytes);
        this.#shrunkMs = now;
      }
    } else if (queueMs < SHORT_QUEUE_MS && this.#wasFull) {
      // As much as was read: the cap doubles in one round trip.
      this.#capBytes = Math.min(CAP_BYTES.highest, this.#capBytes + mark.bytes);
      this.#wasFull = false;
    }
  }
}
