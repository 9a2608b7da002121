import type { AgentError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';

/** standalone: no control plane is wanted. refused: the token is not accepted. */
export type SessionPhase = 'standalone' | 'registering' | 'connected' | 'refused' | 'unreachable';

export interface SessionSnapshot {
  readonly phase: SessionPhase;
  /** ISO time since when it is in this phase. */
  readonly since: string;
  /** ISO time of the last accepted call; null before the first. */
  readonly lastContact: string | null;
  readonly lastError: {
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
  } | null;
}

/** What is known of the session, for /ready, `status` and metrics. */
export interface SessionState {
  snapshot(): SessionSnapshot;
  /** Monotonic ms of the last try of any loop, failed or not: an outage still counts as alive. */
  lastAdvance(): number;
  /** A call was accepted. */
  succeeded(): void;
  /** A call failed. */
  failed(error: AgentError): void;
  /** The agent must register (again). */
  registering(): void;
}

export function sessionState(
  deps: { readonly clock: Clock },
  initial: 'standalone' | 'registering',
): SessionState {
  let phase: SessionPhase = initial;
  let since = deps.clock.now();
  let lastContact: Date | undefined;
  let lastError: AgentError | undefined;
  let lastAdvance = deps.clock.monotonic();
  const become = (next: SessionPhase) => {
    lastAdvance = deps.clock.monotonic();
    if (phase !== next) {
      phase = next;
      since = deps.clock.now();
    }
  };
  return {
    lastAdvance: () => lastAdvance,
    snapshot: () => ({
      phase,
      since: since.toISOString(),
      lastContact: lastContact?.toISOString() ?? null,
      lastError:
        lastError === undefined
          ? null
          : { code: lastError.code, message: lastError.message, hint: lastError.hint ?? null },
    }),
    succeeded: () => {
      lastContact = deps.clock.now();
      lastError = undefined;
      become('connected');
    },
    failed: (error) => {
      lastError = error;
      switch (error.code) {
        case 'TOKEN_REJECTED':
          become('refused');
          break;
        case 'CONTROL_PLANE_UNREACHABLE':
          become('unreachable');
          break;
        default:
          // It answers, so it is there: what it said stands in lastError.
          become(phase === 'unreachable' ? 'registering' : phase);
      }
    },
    registering: () => become('registering'),
  };
}
