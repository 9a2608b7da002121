import type { Clock, Random } from '../../core/ports.ts';
import { timeoutMsOf } from '../../protocol/session/request-limit.ts';

/** How far a control plane may change the pace. */
export const PACE_BOUNDS = {
  heartbeatMs: { shortest: 1_000, longest: 5 * 60_000 },
  statusMs: { shortest: 5_000, longest: 60 * 60_000 },
  reconnectSpreadMs: { shortest: 0, longest: 2 * 60_000 },
  retryAfterMs: { shortest: 0, longest: 10 * 60_000 },
} as const;

/** Heartbeats come up to this share early, never late: a late one looks like a dead agent. */
const HEARTBEAT_JITTER = 0.2;

/** What a control plane may ask for, in seconds. */
export interface AskedPace {
  readonly heartbeat_seconds?: number | undefined;
  readonly status_seconds?: number | undefined;
  readonly reconnect_spread_seconds?: number | undefined;
}

export interface Pace {
  /** Until the next heartbeat, jitter included. */
  heartbeatMs(): number;
  statusMs(): number;
  /**
   * The control plane of a large fleet wants its agents back spread over this time, not at once.
   */
  reconnectSpreadMs(): number;
  /** Takes the values that were asked for, within the bounds; the others stay as they are. */
  obey(asked: AskedPace | undefined): void;
}

export interface PaceOptions {
  readonly heartbeatIntervalMs: number;
  readonly statusIntervalMs: number;
}

export function sessionPace(deps: { readonly random: Random }, options: PaceOptions): Pace {
  let heartbeatMs = options.heartbeatIntervalMs;
  let statusMs = options.statusIntervalMs;
  let reconnectSpreadMs = 0;
  return {
    heartbeatMs: () => heartbeatMs * (1 - HEARTBEAT_JITTER * deps.random.fraction()),
    statusMs: () => statusMs,
    reconnectSpreadMs: () => reconnectSpreadMs,
    obey: (asked) => {
      heartbeatMs = bounded(PACE_BOUNDS.heartbeatMs, asked?.heartbeat_seconds) ?? heartbeatMs;
      statusMs = bounded(PACE_BOUNDS.statusMs, asked?.status_seconds) ?? statusMs;
      reconnectSpreadMs =
        bounded(PACE_BOUNDS.reconnectSpreadMs, asked?.reconnect_spread_seconds) ??
        reconnectSpreadMs;
    },
  };
}

/** The longest date that HTTP knows, with some room. */
const RETRY_AFTER_LENGTH_MAX = 64;

/**
 * Retry-After (RFC 9110 section 10.2.3), as seconds or as a date, within its bounds. Also accepts
 * `120.5`, and `2m` as servers in Go send it: not in the RFC, but clear.
 */
export function retryAfterMs(clock: Clock, header: string | null | undefined): number | undefined {
  if (header === null || header === undefined || header.trim() === '') {
    return undefined;
  }
  const text = header.slice(0, RETRY_AFTER_LENGTH_MAX).trim();
  const isNumber = /^\d+(?:\.\d*)?$/.test(text); // Some send fractions.
  const pauseMs = isNumber
    ? Number(text) * 1_000
    : (timeoutMsOf(text) ?? Date.parse(text) - clock.now().getTime());
  return bounded(PACE_BOUNDS.retryAfterMs, pauseMs / 1_000);
}

/** @returns milliseconds; undefined where it is not a number */
export function bounded(
  bounds: { readonly shortest: number; readonly longest: number },
  seconds: number | undefined,
): number | undefined {
  return seconds === undefined || Number.isNaN(seconds)
    ? undefined
    : Math.min(bounds.longest, Math.max(bounds.shortest, seconds * 1_000));
}
