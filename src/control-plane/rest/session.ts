import { type AgentError, expectedError } from '../../core/errors.ts';
import { limitedLog } from '../../core/limited-log.ts';
import type { Clock, Log, Random } from '../../core/ports.ts';
import { childSignal, withDeadline } from '../../core/waiting.ts';
import type { Heartbeat, Registration } from '../../protocol/rest.ts';
import { retryPolicy } from '../session/endpoint-policy.ts';
import type { Pace } from '../session/pace.ts';
import type { IsLeaving, StatusSource } from '../session/ports.ts';
import type { SessionState } from '../session/state.ts';
import type { RestClient } from './client.ts';
import { type RestCommandsDeps, restCommandLoop, restResultLoop } from './commands.ts';

/** A call that the control plane does not offer (404) is tried again after this. */
const NOT_OFFERED_MS = 3_600_000;
/** The goodbye must not delay the stop of the machine for longer than this. */
const GOODBYE_TIMEOUT_MS = 2_000;

export interface RestSessionDeps extends RestCommandsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly client: RestClient;
  readonly state: SessionState;
  readonly pace: Pace;
  readonly status: StatusSource;
  readonly registration: () => Promise<Registration>;
  readonly heartbeat: () => Heartbeat;
  readonly isLeaving: IsLeaving;
}

export interface RestSessionOptions {
  readonly agentId: string;
  readonly pollIntervalMs: number;
}

/**
 * The session over REST polling (seed R1 to R5). Registers until it is accepted, then keeps four
 * loops going, each at its own pace, so that none can delay another. When the control plane has
 * forgotten the agent (404 to a heartbeat), it registers again. Ends at the signal.
 * @param onRegistered called at each registration
 */
export async function restSession(
  deps: RestSessionDeps,
  options: RestSessionOptions,
  onRegistered: () => void,
  signal: AbortSignal,
): Promise<void> {
  const retry = retryPolicy(deps);
  while (!signal.aborted) {
    const error = await attempt(deps, 'register', signal, async () =>
      deps.client.register(await deps.registration(), signal),
    );
    if (signal.aborted) {
      return;
    }
    if (error !== undefined) {
      await pause(deps, error, retry.failed(error), signal);
      continue;
    }
    retry.succeeded();
    deps.state.succeeded();
    onRegistered();
    deps.log.info('registered with the control plane', { agent_id: options.agentId });
    const registered = childSignal(signal);
    try {
      await Promise.all([
        heartbeatLoop(deps, registered.end, registered.signal),
        restBeside(deps, options, 'registered', registered.signal),
      ]);
    } finally {
      registered.end();
    }
    if (!signal.aborted) {
      deps.state.registering();
    } else if (await deps.isLeaving()) {
      await sayGoodbye(deps);
    }
  }
}

/** The last heartbeat of a machine that leaves for good; nothing depends on its arrival. */
async function sayGoodbye(deps: RestSessionDeps): Promise<void> {
  const limit = { what: 'The last heartbeat', ms: GOODBYE_TIMEOUT_MS };
  const last: Heartbeat = { ...deps.heartbeat(), status: 'disconnected' };
  try {
    await withDeadline(deps.clock, limit, new AbortController().signal, (signal) =>
      deps.client.heartbeat(last, signal),
    );
  } catch (thrown) {
    const error = expectedError(thrown);
    deps.log.info('the control plane was not told that this machine leaves', {
      error_code: error.code,
      error: error.message,
    });
  }
}

/**
 * Commands, results and status over REST. It also runs beside a WebSocket whose peer does not carry
 * them.
 * @param standing `beside`: a 404 says that the control plane does not offer these calls at all
 */
export async function restBeside(
  deps: RestSessionDeps,
  options: RestSessionOptions,
  standing: 'registered' | 'beside',
  signal: AbortSignal,
): Promise<void> {
  await Promise.all([
    statusLoop(deps, options, signal),
    restCommandLoop(deps, { ...options, notOfferedMs: NOT_OFFERED_MS }, signal),
    restResultLoop(deps, { ...options, notOfferedMs: NOT_OFFERED_MS, standing }, signal),
  ]);
}

/** @returns the error, undefined when it worked or was interrupted */
async function attempt(
  deps: RestSessionDeps,
  call: string,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<AgentError | undefined> {
  try {
    await work();
    return undefined;
  } catch (thrown) {
    if (signal.aborted) {
      return undefined;
    }
    const error = expectedError(thrown);
    deps.log.warn('a call to the control plane failed', {
      call,
      error_code: error.code,
      error: error.message,
    });
    return error;
  }
}

async function pause(
  deps: RestSessionDeps,
  error: AgentError,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  deps.state.failed(error, ms);
  await deps.clock.sleep(ms, signal);
}

async function heartbeatLoop(
  deps: RestSessionDeps,
  forgotten: () => void,
  signal: AbortSignal,
): Promise<void> {
  const retry = retryPolicy(deps);
  while (!signal.aborted) {
    const error = await attempt(deps, 'heartbeat', signal, () =>
      deps.client.heartbeat(deps.heartbeat(), signal),
    );
    if (signal.aborted) {
      return;
    }
    if (error?.code === 'NOT_FOUND') {
      deps.log.warn('the control plane does not know this agent any more; registering again');
      forgotten();
      return;
    }
    if (error === undefined) {
      retry.succeeded();
      deps.state.succeeded();
      await deps.clock.sleep(deps.pace.heartbeatMs(), signal);
    } else {
      await pause(deps, error, retry.failed(error), signal);
    }
  }
}

async function statusLoop(
  deps: RestSessionDeps,
  options: RestSessionOptions,
  signal: AbortSignal,
): Promise<void> {
  const complain = limitedLog(deps.clock, (message, fields) => deps.log.warn(message, fields));
  const retry = retryPolicy(deps);
  while (!signal.aborted) {
    let pauseMs = deps.pace.statusMs();
    try {
      const pieces = await deps.status.fullJson(signal);
      await deps.client.status(options.agentId, pieces, signal);
      retry.succeeded();
    } catch (thrown) {
      if (signal.aborted) {
        return;
      }
      const error = expectedError(thrown);
      pauseMs =
        error.code === 'NOT_FOUND' ? NOT_OFFERED_MS : Math.max(pauseMs, retry.failed(error));
      // Not logged as trouble of the session: Kubernetes may be down. The heartbeat shows the
      // session.
      complain('cannot report the cluster status', {
        error_code: error.code,
        error: error.message,
      });
    }
    await deps.clock.sleep(pauseMs, signal);
  }
}
