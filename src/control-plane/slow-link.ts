/** The slowest link that carries a session: 128 kbit/s. */
const SLOWEST_BYTES_PER_MS = 16;
/** What may be under way before anybody waits longer; it takes the slowest link 16 s. */
const ALLOWANCE_BYTES = 256 * 1024;
/** No peer is waited for longer than usual by more than this. */
const PATIENCE_MS_MAX = 75_000;

/**
 * How much is under way. A ping waits behind what was sent before it, so a big result on a slow link
 * looks like a dead peer; a pong that answers it says that all of that has arrived.
 */
export interface SlowLink {
  /** So many bytes were handed to the network. */
  sent(bytes: number): void;
  /** What the next ping carries. */
  mark(): string;
  /** A pong came. @param mark what it carried */
  ponged(mark: string): void;
  /** How much longer than usual the peer may be silent, ms. */
  patienceMs(): number;
}

export function slowLink(): SlowLink {
  let sent = 0;
  let arrived = 0;
  return {
    sent: (bytes) => {
      sent += bytes;
    },
    mark: () => String(sent),
    ponged: (mark) => {
      const bytes = Number(mark);
      // Pongs may come unasked, with anything in them (RFC 6455 section 5.5.3).
      if (bytes > arrived && bytes <= sent) {
        arrived = bytes;
      }
    },
    patienceMs: () => {
      const late = Math.max(0, sent - arrived - ALLOWANCE_BYTES);
      return Math.min(PATIENCE_MS_MAX, late / SLOWEST_BYTES_PER_MS);
    },
  };
}
