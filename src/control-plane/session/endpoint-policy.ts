import { backoffMs } from '../../core/backoff.ts';
import { AgentError } from '../../core/errors.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { failureOf, LATER_HINT, SessionError } from './failure.ts';

/** Full jitter: the first wait is at most half a second, no wait is longer than half a minute. */
const RETRY = { firstMs: 500, capMs: 30_000 } as const;
/**
 * The cap where nobody accepts the connection. Such a try costs nobody anything, so the session is
 * back soon after the server is, however long it was away.
 */
const UNREACHABLE_CAP_MS = 2_000;
/** A session that lasts this long counts as stable: the next failure is then a first one again. */
export const STABLE_MS = 60_000;
/** A refused token is tried again this often: it may be replaced, or accepted again. */
const REFUSED_RETRY_MS = 30_000;
/** A server-given pause is stretched by up to this share, so that not all come back at once. */
const RETRY_AFTER_JITTER = 0.5;
/** Failures in a row after which a circuit opens. */
const BREAKER_FAILURES = 4;

type Deps = { readonly clock: Clock; readonly random: Random };

/** When to try something again that keeps failing. */
export interface RetryPolicy {
  /** @returns how long to wait before the next try, ms */
  failed(error: AgentError): number;
  /** It works now; forgets the failures once this has lasted. */
  succeeded(): void;
}

/**
 * @param spreadMs the time over which a control plane wants its agents back: the first try is drawn
 *   from it, and while the server is away there is one try in each such period
 */
export function retryPolicy(deps: Deps, spreadMs: () => number = () => 0): RetryPolicy {
  const { clock, random } = deps;
  /**
   * Failures where the server was there, and where nobody was. They are counted apart, because an
   * outage is not a refusal.
   */
  let failures = { there: 0, nobodyThere: 0 };
  let workedSince: number | undefined;
  let periodEnd = Number.NEGATIVE_INFINITY;
  const nextWaitMs = (kind: keyof typeof failures) => {
    const spread = spreadMs();
    if (spread === 0) {
      const capMs = kind === 'nobodyThere' ? UNREACHABLE_CAP_MS : RETRY.capMs;
      return backoffMs(deps, { firstMs: RETRY.firstMs, capMs }, failures[kind]);
    }
    const now = clock.monotonic();
    const attempt = failures.there + failures.nobodyThere;
    const period = Math.max(spread, Math.min(RETRY.capMs, RETRY.firstMs * 2 ** attempt));
    const begin = attempt === 0 ? now : Math.max(now, periodEnd);
    periodEnd = begin + period;
    return begin - now + random.fraction() * period;
  };
  return {
    failed: (error) => {
      if (workedSince !== undefined && clock.monotonic() - workedSince >= STABLE_MS) {
        failures = { there: 0, nobodyThere: 0 };
      }
      const failure = failureOf(error);
      // A crashing server ends a working session without a word, and is back soon.
      const cutOff = workedSince !== undefined && failure.kind === 'cut-off';
      workedSince = undefined;
      const nobodyThere = cutOff || failure.kind === 'nobody-there';
      const kind = nobodyThere ? 'nobodyThere' : 'there';
      const waitMs = nextWaitMs(kind);
      failures[kind] += 1;
      // The gateway's word about the token does not bind the controller, which is asked next.
      if (error.code === 'TOKEN_REJECTED' && failure.atGateway !== true) {
        return REFUSED_RETRY_MS;
      }
      const asked = failure.retryAfterMs;
      return asked === undefined
        ? waitMs
        : Math.max(waitMs, asked * (1 + RETRY_AFTER_JITTER * random.fraction()));
    },
    succeeded: () => {
      workedSince ??= clock.monotonic();
    },
  };
}

/**
 * Protects one server. After several failures in a row it refuses calls at once, and lets a single
 * call through after a pause: many callers cost a dead server one try.
 */
export interface CircuitBreaker {
  /** @throws what the call throws; the last failure again while the circuit is open */
  run<T>(call: () => Promise<T>): Promise<T>;
}

export function circuitBreaker(deps: Deps): CircuitBreaker {
  const retry = retryPolicy(deps);
  let failures = 0;
  let openUntil = Number.NEGATIVE_INFINITY;
  let lastFailure: AgentError | undefined;
  let trying = false;
  return {
    run: async (call) => {
      const isOpen = failures >= BREAKER_FAILURES;
      if (isOpen && lastFailure !== undefined) {
        const leftMs = openUntil - deps.clock.monotonic();
        if (trying || leftMs > 0) {
          throw againIn(lastFailure, Math.max(leftMs, RETRY.firstMs));
        }
        trying = true;
      }
      try {
        const answer = await call();
        failures = 0;
        retry.succeeded();
        return answer;
      } catch (thrown) {
        if (thrown instanceof AgentError && isNoAnswer(thrown)) {
          failures += 1;
          lastFailure = thrown;
          openUntil = deps.clock.monotonic() + retry.failed(thrown);
        } else if (!(thrown instanceof AgentError && thrown.code === 'INTERRUPTED')) {
          failures = 0; // It answers.
        }
        throw thrown;
      } finally {
        trying = isOpen ? false : trying;
      }
    },
  };
}

function isNoAnswer(error: AgentError): boolean {
  return error.code === 'CONTROL_PLANE_UNREACHABLE' || error.code === 'TIMEOUT';
}

function againIn(error: AgentError, leftMs: number): AgentError {
  const failure = { ...failureOf(error), retryAfterMs: leftMs };
  return new SessionError(error.code, error.message, failure, {
    hint: error.hint ?? LATER_HINT,
    cause: error,
  });
}
