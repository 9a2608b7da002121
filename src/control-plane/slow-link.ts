import type { Clock } from '../core/ports.ts';

/** Time between two ping frames: shorter than the 5 s after which some proxies end what is idle. */
export const PING_INTERVAL_MS = 4_000;
/** The slowest link that carries a session: 128 kbit/s. */
const SLOWEST_BYTES_PER_MS = 16;
/** A ping that waits no longer than this behind other bytes is answered in good time. */
const ALLOWANCE_MS = 8_000;
/** A link may carry this much less than it was measured to: others may use it too. */
const CAUTION = 0.5;
/** No peer is waited for longer than usual by more than this. */
const PATIENCE_MS_MAX = 75_000;

/**
 * How much is under way. A ping waits behind what was sent before it, so a big result on a slow link
 * looks like a dead peer; a pong that answers it says that all of that has arrived, and how fast the
 * link is. What was sent after a ping delays only later ones, so that steady traffic gives a dead
 * peer no more time.
 */
export interface SlowLink {
  /** So many bytes were handed to the network. */
  sent(bytes: number): void;
  /** A ping is sent. @returns what it carries */
  pinged(): string;
  /** A pong came. @param mark what it carried */
  ponged(mark: string): void;
  /** How much longer than usual the peer may be silent, ms. */
  patienceMs(): number;
}

export function slowLink(deps: { readonly clock: Clock }): SlowLink {
  let sent = 0;
  let arrived = 0;
  let arrivedAt = deps.clock.monotonic();
  /** What had been sent at the first ping that is not answered. */
  let awaited: number | undefined;
  /** What the link carried lately; more than that may fit. */
  let bytesPerMs = 0;
  const measure = (bytes: number) => {
    const now = deps.clock.monotonic();
    // Pongs that come closer together than their pings have waited for each other on the way back.
    const measured = bytes / Math.max(PING_INTERVAL_MS, now - arrivedAt);
    // Up at once, down by halves: a link with little to carry is not slow.
    bytesPerMs = Math.max(measured, (bytesPerMs + measured) / 2);
    arrivedAt = now;
  };
  return {
    sent: (bytes) => {
      sent += bytes;
    },
    pinged: () => {
      awaited ??= sent;
      return String(sent);
    },
    ponged: (mark) => {
      const bytes = mark === '' ? Number.NaN : Number(mark);
      // Pongs may come unasked, with anything in them (RFC 6455 section 5.5.3).
      if (bytes >= arrived && bytes <= sent) {
        measure(bytes - arrived);
        arrived = bytes;
        awaited = awaited !== undefined && awaited > bytes ? awaited : undefined;
      }
    },
    patienceMs: () => {
      const rate = Math.max(SLOWEST_BYTES_PER_MS, bytesPerMs * CAUTION);
      const waitMs = ((awaited ?? arrived) - arrived) / rate;
      return Math.min(PATIENCE_MS_MAX, Math.max(0, waitMs - ALLOWANCE_MS));
    },
  };
}
