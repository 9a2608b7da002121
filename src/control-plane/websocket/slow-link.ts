import type { Clock } from '../../core/ports.ts';
import { SLOWEST_BYTES_PER_MS } from '../../core/slowest-link.ts';

/**
 * Time between two ping frames: shorter than the 5 s after which some proxies end an idle
 * connection.
 */
export const PING_INTERVAL_MS = 4_000;
/** A ping that waits no longer than this behind other bytes is answered in good time. */
const ALLOWANCE_MS = 8_000;
/**
 * Bytes that may be under way without a ping behind them: half of what the slowest link carries in
 * the allowance, so that no more than one message decides how long a ping waits.
 */
const UNASKED_BYTES_MAX = 64 * 1024;
/** The link may be slower than it was measured by this factor: others may use it too. */
const CAUTION = 0.5;
/** A peer is given at most this much more time than usual. */
const PATIENCE_MS_MAX = 75_000;

/**
 * Tracks how much is under way. A ping waits behind the bytes sent before it, so a big result on a
 * slow link makes a live peer look dead. The pong says that all those bytes have arrived, and how
 * fast the link is. A ping therefore follows big data at once: bytes that have arrived give a dead
 * peer no more time, and bytes sent after a ping delay only later pings.
 */
export interface SlowLink {
  /** This many bytes were handed to the network. */
  sent(bytes: number): void;
  /** Asks the peer for a sign of life. */
  ask(): void;
  /** A pong came. @param mark what it carried */
  ponged(mark: string): void;
  /** How much longer than usual the peer may be silent, ms. */
  patienceMs(): number;
}

export interface SlowLinkDeps {
  readonly clock: Clock;
  /** Sends a ping frame that carries the mark. */
  readonly ping: (mark: string) => void;
}

export function slowLink({ clock, ping }: SlowLinkDeps): SlowLink {
  let sent = 0;
  let arrived = 0;
  /** Bytes that had been sent at the last ping. */
  let asked = 0;
  /** Bytes that had been sent at the first ping that is not answered yet. */
  let awaited: number | undefined;
  /** What the link carried lately; it may be able to carry more. */
  let bytesPerMs = 0;
  let measured = { bytes: 0, atMs: clock.monotonic() };
  const measure = () => {
    const atMs = clock.monotonic();
    const passedMs = atMs - measured.atMs;
    // Not measured from pong to pong: pongs that arrive together may have waited for each other.
    if (passedMs >= PING_INTERVAL_MS) {
      const rate = (arrived - measured.bytes) / passedMs;
      // Rises at once, falls by halves: a link that has little to carry is not slow.
      bytesPerMs = Math.max(rate, (bytesPerMs + rate) / 2);
      measured = { bytes: arrived, atMs };
    }
  };
  const ask = () => {
    awaited ??= sent;
    asked = sent;
    ping(String(sent));
  };
  /** One ping at a time: on a busy link the next one follows the answer. */
  const askAfterMuch = () => {
    if (awaited === undefined && sent - asked > UNASKED_BYTES_MAX) {
      ask();
    }
  };
  return {
    sent: (bytes) => {
      sent += bytes;
      askAfterMuch();
    },
    ask,
    ponged: (mark) => {
      const bytes = mark === '' ? Number.NaN : Number(mark);
      // Pongs may come unasked, with anything in them (RFC 6455 section 5.5.3).
      if (bytes >= arrived && bytes <= sent) {
        arrived = bytes;
        awaited = awaited !== undefined && awaited > bytes ? awaited : undefined;
        measure();
        askAfterMuch();
      }
    },
    patienceMs: () => {
      const rate = Math.max(SLOWEST_BYTES_PER_MS, bytesPerMs * CAUTION);
      const waitMs = ((awaited ?? arrived) - arrived) / rate;
      return Math.min(PATIENCE_MS_MAX, Math.max(0, waitMs - ALLOWANCE_MS));
    },
  };
}
