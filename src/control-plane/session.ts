import { type AgentError, expectedError } from '../core/errors.ts';
import { limitedLog } from '../core/limited-log.ts';
import type { Network } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { childSignal } from '../core/waiting.ts';
import type { RestClient } from './rest/client.ts';
import {
  type RestSessionDeps,
  type RestSessionOptions,
  restBeside,
  restSession,
} from './rest/session.ts';
import { type RetryPolicy, retryPolicy, STABLE_MS } from './session/endpoint-policy.ts';
import { failureOf } from './session/failure.ts';
import { gatewayPolicy } from './session/gateway.ts';
import type { SessionTransport } from './session/state.ts';
import { webSocketSession } from './websocket/session.ts';
import type { WebSocketSessionDeps, WebSocketSessionOptions } from './websocket/session-deps.ts';

/**
 * While REST serves, the WebSocket is tried again after this, then after twice as long each time.
 */
const PROBE_MS = { first: 30_000, longest: 15 * 60_000 } as const;
/** After this many failures in a row of an existing WebSocket path, REST takes over. */
const FAILURES_BEFORE_REST = 2;
/**
 * REST also takes over after this many short sessions in a row while the server is there: something
 * in between cuts them off.
 */
const SHORT_SESSIONS_BEFORE_REST = 3;
/** When a control plane answers but gives no session for this long, the network is made anew. */
export const REBUILD_AFTER_MS = 10 * 60_000;

export type TransportChoice = 'auto' | 'websocket' | 'rest';

export type SessionDeps = Omit<WebSocketSessionDeps, 'dial' | 'gateway'> &
  Omit<RestSessionDeps, 'client'> & {
    /** Makes the network to the control plane; called again when it is rebuilt. */
    readonly network: () => Network;
    readonly restClient: (network: Network) => RestClient;
    /**
     * Calls back, until told not to, when the access to the control plane has changed (token,
     * trust, proxy) or shall be tried at once.
     */
    readonly onNewAccess: (listener: () => void) => () => void;
  };

export interface SessionOptions extends WebSocketSessionOptions, RestSessionOptions {
  readonly transport: TransportChoice;
}

/**
 * The session with the control plane, over the transport that works: the WebSocket where it is
 * available, else REST polling, and back to the WebSocket as soon as it is available again.
 */
export function controlPlaneSession(deps: SessionDeps, options: SessionOptions): Service {
  return {
    name: 'control-plane-session',
    start: async (signal) => ({ done: run(deps, options, signal) }),
  };
}

async function run(deps: SessionDeps, options: SessionOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const network = deps.network();
    const life = childSignal(signal);
    const own = { ...deps, client: deps.restClient(network), dial: network.dial };
    let isNewAccess = false;
    // Reset at once: later results of the old access say nothing about the new one.
    const stopListening = deps.onNewAccess(() => {
      isNewAccess = true;
      life.end();
      deps.state.restarted();
    });
    const living = liveWith(own, options, life.signal);
    try {
      await Promise.race([living, neededRebuild(deps, life.signal)]);
    } finally {
      stopListening();
      life.end();
      // Not earlier: a machine that leaves for good says goodbye over this network.
      await living.finally(network.close);
    }
    if (!signal.aborted && !isNewAccess) {
      deps.log.warn('no session for long although the control plane answers; starting all over', {
        after_seconds: REBUILD_AFTER_MS / 1_000,
      });
    }
  }
}

/** Resolves when the transport should be made anew, or at the signal. */
async function neededRebuild(deps: SessionDeps, signal: AbortSignal): Promise<void> {
  const bornAt = deps.clock.monotonic();
  for (;;) {
    const now = deps.clock.monotonic();
    const downSince = Math.max(bornAt, deps.state.downSinceMs() ?? now);
    const answeredAt = deps.state.lastAnswerMs();
    const leftMs = downSince + REBUILD_AFTER_MS - now;
    if (leftMs <= 0 && answeredAt !== undefined && answeredAt >= downSince) {
      return;
    }
    if (!(await deps.clock.sleep(leftMs <= 0 ? PROBE_MS.first : leftMs, signal))) {
      return;
    }
  }
}

type LiveDeps = RestSessionDeps & Omit<WebSocketSessionDeps, 'gateway'>;

async function liveWith(
  deps: LiveDeps,
  options: SessionOptions,
  signal: AbortSignal,
): Promise<void> {
  const carry = carrier(deps);
  if (options.transport === 'rest') {
    await restSession(deps, options, () => carry('rest', 'the configuration asks for it'), signal);
    return;
  }
  const fallback = restFallback(deps, options, carry, signal);
  try {
    await Promise.race([webSocketLoop(deps, options, carry, fallback, signal), fallback.broken]);
  } finally {
    await fallback.stop();
  }
}

/** Tells what carries the session, with one line for each change. */
function carrier(deps: LiveDeps): (transport: SessionTransport | null, reason?: string) => void {
  return (transport, reason) => {
    const before = deps.state.snapshot();
    deps.state.carriedBy(transport, reason);
    if (transport !== null && transport !== before.transport) {
      deps.log.info('the session has its transport', { transport, reason });
    }
  };
}

interface RestFallback {
  readonly active: boolean;
  /** Rejects when REST ended in a way that it must not. */
  readonly broken: Promise<never>;
  begin(reason: string): void;
  /** Resolves when its loops have ended. */
  stop(): Promise<void>;
}

function restFallback(
  deps: LiveDeps,
  options: SessionOptions,
  carry: ReturnType<typeof carrier>,
  signal: AbortSignal,
): RestFallback {
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => undefined);
  let current: { readonly end: () => void; readonly done: Promise<void> } | undefined;
  return {
    get active() {
      return current !== undefined;
    },
    broken: broken.promise,
    begin: (reason) => {
      if (current === undefined) {
        const life = childSignal(signal);
        const done = restSession(deps, options, () => carry('rest', reason), life.signal).catch(
          broken.reject,
        );
        current = { end: life.end, done };
      }
    },
    stop: async () => {
      const ending = current;
      current = undefined;
      ending?.end();
      await ending?.done;
    },
  };
}

async function webSocketLoop(
  deps: LiveDeps,
  options: SessionOptions,
  carry: ReturnType<typeof carrier>,
  fallback: RestFallback,
  signal: AbortSignal,
): Promise<void> {
  const retry = retryPolicy(deps, deps.pace.reconnectSpreadMs);
  const withGateway = { ...deps, gateway: gatewayPolicy(deps.clock) };
  const complain = limitedLog(deps.clock, (message, fields) => deps.log.warn(message, fields));
  const trust = webSocketTrust();
  let probes = 0;
  while (!signal.aborted) {
    const outcome = await oneSession(withGateway, options, retry, carry, fallback, signal);
    if (signal.aborted) {
      return;
    }
    const { error, livedMs } = outcome;
    const wasLive = livedMs !== undefined;
    if (!trust.after(error, livedMs) && options.transport === 'auto') {
      fallback.begin(error.message);
    }
    probes = fallback.active ? probes + 1 : 0;
    const waitMs = Math.max(retry.failed(error), probes === 0 ? 0 : probeMs(deps, probes));
    if (!fallback.active) {
      carry(null);
      deps.state.failed(error, waitMs);
    }
    deps.state.advanced();
    const fields = {
      error_code: error.code,
      error: error.message,
      retry_in_ms: Math.round(waitMs),
    };
    if (wasLive) {
      deps.log.warn('the session has ended', fields);
    } else {
      complain('there is no WebSocket session', fields);
    }
    await deps.clock.sleep(waitMs, signal);
  }
}

async function oneSession(
  deps: RestSessionDeps & WebSocketSessionDeps,
  options: SessionOptions,
  retry: RetryPolicy,
  carry: ReturnType<typeof carrier>,
  fallback: RestFallback,
  signal: AbortSignal,
): Promise<{ readonly error: AgentError; readonly livedMs: number | undefined }> {
  const life = childSignal(signal);
  let liveAt: number | undefined;
  const livedMs = () => (liveAt === undefined ? undefined : deps.clock.monotonic() - liveAt);
  let beside: Promise<void> | undefined;
  const broken = Promise.withResolvers<never>();
  const session = webSocketSession(
    deps,
    options,
    (kind, peer) => {
      liveAt ??= deps.clock.monotonic();
      retry.succeeded();
      deps.state.succeeded();
      carry(kind === 'gateway' ? 'gateway' : 'websocket');
      void fallback.stop();
      if (!peer.supportsCommands && beside === undefined) {
        beside = restBeside(deps, options, 'beside', life.signal);
        beside.catch(broken.reject);
      }
    },
    life.signal,
  );
  try {
    const error = await Promise.race([session, broken.promise]);
    return { error, livedMs: livedMs() };
  } catch (thrown) {
    const error = expectedError(thrown);
    return { error, livedMs: livedMs() };
  } finally {
    life.end();
    await beside;
  }
}

/** Whether the WebSocket is worth waiting for. If not, REST serves until it is available again. */
function webSocketTrust() {
  let failures = 0;
  let shortSessions = 0;
  return {
    /** @param livedMs how long the session lasted; undefined when it was never established */
    after: (error: AgentError, livedMs: number | undefined): boolean => {
      if (livedMs === undefined) {
        failures += weightOf(error);
        // A server that is away was not cutting us off: its absence is why the session ended.
        shortSessions = failureOf(error).kind === 'nobody-there' ? 0 : shortSessions;
      } else {
        failures = 0;
        // A session that we gave up does not count: in a silent network REST would not get through
        // either.
        const isCutOff = livedMs < STABLE_MS && failureOf(error).kind === 'cut-off';
        shortSessions = isCutOff ? shortSessions + 1 : 0;
      }
      return failures < FAILURES_BEFORE_REST && shortSessions < SHORT_SESSIONS_BEFORE_REST;
    },
  };
}

/**
 * How strongly a failure suggests that the WebSocket is not available here, although REST may be.
 */
function weightOf(error: AgentError): number {
  const failure = failureOf(error);
  if (failure.atGateway === true || error.code === 'TOKEN_REJECTED') {
    return 0; // The controller decides.
  }
  switch (failure.kind) {
    case 'answered': {
      const { status } = failure;
      const isBusy = status === 429 || status === 408 || (status >= 500 && status !== 501);
      return isBusy ? 1 : FAILURES_BEFORE_REST;
    }
    case 'nobody-there':
      return 0; // REST would find nobody either.
    case 'cut-off':
    case 'other':
      return 1;
  }
}

/**
 * At least half of the ceiling, the rest by chance: a fleet behind one broken proxy must not probe
 * in step.
 */
function probeMs(deps: LiveDeps, probes: number): number {
  const ceiling = Math.min(PROBE_MS.longest, PROBE_MS.first * 2 ** Math.min(probes - 1, 10));
  return ceiling * (0.5 + 0.5 * deps.random.fraction());
}
