import type { Clock } from '../core/ports.ts';
import type { InFlight } from './in-flight.ts';

export interface KeepAliveOptions {
  /** After this long without an answer the peer is asked whether it is there. */
  readonly keepAliveMs: number;
  /** A peer that does not answer for this long is gone. */
  readonly answerTimeoutMs: number;
}

/** Number of checks in the shorter of the two times. */
const CHECKS = 4;

/**
 * Keeps a silent connection alive until the signal. Whatever asks the peer counts: the marks of
 * bulk data, too.
 * @returns whether the peer is there: false when it did not answer in time
 */
export async function keepAlive(
  deps: { readonly clock: Clock; readonly inFlight: InFlight },
  options: KeepAliveOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const { clock, inFlight } = deps;
  const checkMs = Math.min(options.keepAliveMs, options.answerTimeoutMs) / CHECKS;
  inFlight.mark();
  let askedMs = clock.monotonic();
  while (await clock.sleep(checkMs, signal)) {
    const now = clock.monotonic();
    const waitingSinceMs = inFlight.waitingSinceMs;
    if (waitingSinceMs !== undefined) {
      if (now - waitingSinceMs >= options.answerTimeoutMs) {
        return false;
      }
    } else if (now - askedMs >= options.keepAliveMs) {
      askedMs = now;
      inFlight.mark();
    }
  }
  return true;
}
