import type { Clock } from '../core/ports.ts';

/** The slowest link that carries a session: 128 kbit/s. */
const SLOWEST_BYTES_PER_MS = 16;
/** The time that big messages may need on it, at most. */
const ARRIVAL_MS_MAX = 90_000;
/** Less than this much time on the link is no reason to wait longer: 256 KiB. */
const ALLOWANCE_MS = 16_000;

/** Pings wait behind what was sent before them; a big result on a slow link is no dead peer. */
export interface SlowLink {
  /** So many bytes were handed to the network. */
  sent(bytes: number): void;
  /** Monotonic ms until when a living peer may be silent because of what was sent. */
  busyUntil(): number;
}

export function slowLink(deps: { readonly clock: Clock }): SlowLink {
  const { clock } = deps;
  let arrivedAt = Number.NEGATIVE_INFINITY;
  return {
    sent: (bytes) => {
      const now = clock.monotonic();
      const after = Math.max(now, arrivedAt) + bytes / SLOWEST_BYTES_PER_MS;
      arrivedAt = Math.min(after, now + ARRIVAL_MS_MAX);
    },
    busyUntil: () => arrivedAt - ALLOWANCE_MS,
  };
}
