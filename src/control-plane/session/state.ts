import type { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { failureOf } from './failure.ts';
import { type PeerTime, peerTime } from './peer-time.ts';

/**
 * standalone: no control plane is wanted. standby: another server of the cluster has the session.
 * refused: the token is not accepted.
 */
export type SessionPhase =
  | 'standalone'
  | 'standby'
  | 'registering'
  | 'connected'
  | 'refused'
  | 'unreachable';

/** What carries the session; `gateway` is a WebSocket too. */
export type SessionTransport = 'websocket' | 'gateway' | 'rest';

export interface SessionSnapshot {
  readonly phase: SessionPhase;
  /** null while nothing carries a session. */
  readonly transport: SessionTransport | null;
  /** Why this transport carries the session, when it is not the preferred one. */
  readonly transportReason: string | null;
  /** ISO time at which this phase began. */
  readonly since: string;
  /** ISO time since which there is no session; null while there is one, or none is wanted. */
  readonly downSince: string | null;
  /** ISO time of the next try; null while there is a session. */
  readonly nextTry: string | null;
  /** ISO time of the last sign of life from the control plane; null before the first. */
  readonly lastContact: string | null;
  readonly lastError: {
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
  } | null;
}

/** What is known of the session, for /ready, `status` and metrics. */
export interface SessionState extends PeerTime {
  snapshot(): SessionSnapshot;
  /**
   * Monotonic ms of the last try of any loop, failed or not: an outage still counts as alive. It
   * lies in the future during a deliberate pause.
   */
  lastAdvance(): number;
  /** Monotonic ms since which there is no session; undefined while there is one. */
  downSinceMs(): number | undefined;
  /** Since the start: sessions that came up, and tries that failed. */
  counts(): {
    readonly established: number;
    readonly failures: number;
    /** How often it went into each phase. */
    readonly changes: Readonly<Partial<Record<SessionPhase, number>>>;
  };
  /** Monotonic ms of the last answer of any kind, even a refusal. */
  lastAnswerMs(): number | undefined;
  /** The session's loops advance. */
  advanced(): void;
  /** Something came from the control plane, whatever it was. */
  heard(): void;
  /** There is a session, and it works. */
  succeeded(): void;
  /**
   * A try failed.
   * @param retryInMs when the next one comes, where that is known
   */
  failed(error: AgentError, retryInMs?: number): void;
  /** The agent must register (again). */
  registering(): void;
  /**
   * The access to the control plane has changed: what was known of the old one no longer counts.
   */
  restarted(): void;
  /** No control plane is wanted any more. */
  standalone(): void;
  /** The session is another server's to have. */
  standby(): void;
  /**
   * What carries the session from now on.
   * @param reason why not the preferred one
   */
  carriedBy(transport: SessionTransport | null, reason?: string): void;
}

export function sessionState(
  { clock }: { readonly clock: Clock },
  initial: 'standalone' | 'standby' | 'registering',
): SessionState {
  const time = peerTime(clock);
  let current: { phase: SessionPhase; since: Date } = { phase: initial, since: clock.now() };
  let down = initial === 'registering' ? { at: clock.now(), ms: clock.monotonic() } : undefined;
  let lastContact: Date | undefined;
  let lastError: AgentError | undefined;
  let lastAdvance = clock.monotonic();
  let lastAnswer: number | undefined;
  let nextTry: Date | undefined;
  let transport: SessionTransport | null = null;
  let transportReason: string | undefined;
  const counts = { established: 0, failures: 0 };
  const changes = phaseChanges();
  const become = (next: SessionPhase) => {
    lastAdvance = Math.max(lastAdvance, clock.monotonic());
    if (current.phase !== next) {
      current = { phase: next, since: clock.now() };
      changes.into(next);
    }
    if (next === 'connected') {
      counts.established += down === undefined ? 0 : 1;
      down = undefined;
      nextTry = undefined;
    } else {
      down ??= { at: clock.now(), ms: clock.monotonic() };
    }
  };
  const beginAs = (next: 'standalone' | 'standby' | 'registering') => {
    time.forget();
    lastError = undefined;
    nextTry = undefined;
    transport = null;
    lastAdvance = clock.monotonic();
    become(next);
    down = next === 'registering' ? down : undefined;
  };
  return {
    lastAdvance: () => lastAdvance,
    downSinceMs: () => down?.ms,
    lastAnswerMs: () => lastAnswer,
    ...time,
    counts: () => ({ ...counts, changes: changes.counts() }),
    snapshot: () => ({
      phase: current.phase,
      transport: current.phase === 'connected' ? transport : null,
      transportReason: current.phase === 'connected' ? (transportReason ?? null) : null,
      since: current.since.toISOString(),
      downSince: down?.at.toISOString() ?? null,
      nextTry: nextTry?.toISOString() ?? null,
      lastContact: lastContact?.toISOString() ?? null,
      lastError: lastError === undefined ? null : described(lastError),
    }),
    advanced: () => {
      lastAdvance = Math.max(lastAdvance, clock.monotonic());
    },
    heard: () => {
      lastContact = clock.now();
      lastAnswer = clock.monotonic();
    },
    succeeded: () => {
      lastContact = clock.now();
      lastAnswer = clock.monotonic();
      lastError = undefined;
      become('connected');
    },
    failed: (error, retryInMs) => {
      lastError = error;
      counts.failures += 1;
      nextTry = retryInMs === undefined ? undefined : new Date(clock.now().getTime() + retryInMs);
      const next = phaseAfter(error, current.phase);
      // It answers, so it is there; `lastError` holds what it said.
      lastAnswer = next === 'unreachable' ? lastAnswer : clock.monotonic();
      become(next);
      lastAdvance = clock.monotonic() + (retryInMs ?? 0);
    },
    registering: () => become('registering'),
    restarted: () => beginAs('registering'),
    standalone: () => beginAs('standalone'),
    standby: () => beginAs('standby'),
    carriedBy: (next, reason) => {
      transport = next;
      transportReason = reason;
    },
  };
}

function phaseChanges() {
  const counts: Partial<Record<SessionPhase, number>> = {};
  return {
    into: (phase: SessionPhase) => {
      counts[phase] = (counts[phase] ?? 0) + 1;
    },
    counts: () => ({ ...counts }),
  };
}

function phaseAfter(error: AgentError, before: SessionPhase): SessionPhase {
  switch (error.code) {
    case 'TOKEN_REJECTED':
      // The gateway's word about the token does not bind the controller, which is asked next.
      return failureOf(error).atGateway === true ? 'registering' : 'refused';
    case 'CONTROL_PLANE_UNREACHABLE':
    case 'TIMEOUT':
      return 'unreachable';
    default:
      return before === 'unreachable' ? 'registering' : before;
  }
}

function described({ code, message, hint }: AgentError): SessionSnapshot['lastError'] {
  return { code, message, hint: hint ?? null };
}
