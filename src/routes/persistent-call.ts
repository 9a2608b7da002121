import { failureOf } from '../control-plane/session/failure.ts';
import { backoffMs } from '../core/backoff.ts';
import { type AgentError, expectedError } from '../core/errors.ts';
import type { Clock, Random } from '../core/ports.ts';

/** Tries of one call in a row, and the waits between them. */
const TRIES = 3;
const RETRY = { firstMs: 1_000, capMs: 5_000 };

/** How a call to the control plane ended. */
export type CallOutcome =
  | { readonly kind: 'done' }
  /** Ended by the signal. */
  | { readonly kind: 'interrupted' }
  /** Sending the same again makes no sense. */
  | { readonly kind: 'refused'; readonly error: AgentError }
  /** The control plane has no such call, or does not accept the token for it. */
  | { readonly kind: 'not-offered'; readonly error: AgentError }
  /**
   * All tries failed; it may have happened all the same. `pauseMs`: the pause that the server asks
   * for
   */
  | { readonly kind: 'failed'; readonly error: AgentError; readonly pauseMs: number };

/** Calls until the outcome is decided, at most TRIES times. Rejects only for a bug. */
export async function persistentCall(
  deps: { readonly clock: Clock; readonly random: Random },
  call: () => Promise<void>,
  signal: AbortSignal,
): Promise<CallOutcome> {
  for (let attempt = 0; ; attempt += 1) {
    const outcome = await outcomeOf(call, signal);
    if (outcome.kind !== 'failed' || attempt + 1 >= TRIES || outcome.pauseMs > RETRY.capMs) {
      return outcome;
    }
    const waitMs = Math.max(outcome.pauseMs, backoffMs(deps, RETRY, attempt));
    if (!(await deps.clock.sleep(waitMs, signal))) {
      return { kind: 'interrupted' };
    }
  }
}

async function outcomeOf(call: () => Promise<void>, signal: AbortSignal): Promise<CallOutcome> {
  try {
    await call();
    return { kind: 'done' };
  } catch (thrown) {
    const error = expectedError(thrown);
    if (signal.aborted) {
      return { kind: 'interrupted' };
    }
    if (error.code === 'NOT_FOUND' || error.code === 'TOKEN_REJECTED') {
      return { kind: 'not-offered', error };
    }
    const failure = failureOf(error);
    return failure.kind === 'answered' && isFinal(failure.status)
      ? { kind: 'refused', error }
      : { kind: 'failed', error, pauseMs: failure.retryAfterMs ?? 0 };
  }
}

/** The only 4xx answers that mean "later" (RFC 9110, RFC 6585). */
const LATER_STATUSES = [408, 425, 429];

function isFinal(status: number): boolean {
  return status >= 300 && status < 500 && !LATER_STATUSES.includes(status);
}
