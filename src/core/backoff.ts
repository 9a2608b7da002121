import type { Random } from './ports.ts';

export interface BackoffOptions {
  /** Upper bound of the first wait. */
  readonly firstMs: number;
  /** Upper bound of every wait. */
  readonly capMs: number;
}

/**
 * Full-jitter exponential backoff: a random wait between 0 and firstMs * 2^attempt, capped.
 * Full jitter spreads a crowd of agents best after an outage (AWS Architecture Blog,
 * "Exponential Backoff And Jitter").
 * @param attempt 0 for the first retry
 */
export function backoffMs(
  deps: { readonly random: Random },
  options: BackoffOptions,
  attempt: number,
): number {
  const ceiling = Math.min(options.capMs, options.firstMs * 2 ** Math.min(attempt, 30));
  return Math.floor(deps.random.fraction() * ceiling);
}
