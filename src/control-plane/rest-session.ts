import { backoffMs } from '../core/backoff.ts';
import { AgentError, toAgentError } from '../core/errors.ts';
import type { Clock, Log, Random } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import {
  type ClusterStatus,
  COMMANDS_PER_FETCH_MAX,
  Command,
  type CommandResult,
  type Heartbeat,
  type Registration,
} from '../protocol/rest.ts';
import type { RestClient } from './rest-client.ts';
import type { SessionState } from './session-state.ts';

/** Waits between tries of anything that failed. */
const RETRY = { firstMs: 500, capMs: 30_000 };
/** A refused token is tried again this often: it may be replaced, or accepted again. */
const REFUSED_RETRY_MS = 30_000;
/** A control plane that offers no commands is asked again after this. */
const COMMANDS_NOT_OFFERED_MS = 3_600_000;
/** Results sent before the journal is asked for more. */
const RESULT_BATCH = 50;
/** Heartbeats come up to this share early, never late: a late one looks like a dead agent. */
const HEARTBEAT_JITTER = 0.2;
const POLL_JITTER = 0.2;

/** Where commands go; durable before it returns. */
export interface CommandInbox {
  accept(command: Command): 'accepted' | 'duplicate' | 'full';
}

/** Where results come from. */
export interface ResultOutbox {
  pending(limit: number): readonly { readonly commandId: string; readonly result: CommandResult }[];
  delivered(commandId: string): void;
  whenPending(signal: AbortSignal): Promise<void>;
}

export interface RestSessionDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly client: RestClient;
  readonly state: SessionState;
  readonly inbox: CommandInbox;
  readonly outbox: ResultOutbox;
  readonly registration: () => Registration;
  readonly heartbeat: () => Heartbeat;
  readonly clusterStatus: (signal: AbortSignal) => Promise<ClusterStatus>;
}

export interface RestSessionOptions {
  readonly agentId: string;
  readonly heartbeatIntervalMs: number;
  readonly statusIntervalMs: number;
  readonly pollIntervalMs: number;
}

/**
 * The session over REST polling (seed R1 to R5). Registers until it is accepted, then keeps four
 * loops of their own pace going: a slow status report never delays a heartbeat. A control plane
 * that has forgotten the agent (404 to a heartbeat) is registered with again.
 */
export function restSession(deps: RestSessionDeps, options: RestSessionOptions): Service {
  return {
    name: 'control-plane-session',
    start: async (signal) => ({ done: run(deps, options, signal) }),
  };
}

async function run(
  deps: RestSessionDeps,
  options: RestSessionOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    deps.state.registering();
    await untilDone(deps, 'register', signal, () =>
      deps.client.register(deps.registration(), signal),
    );
    if (signal.aborted) {
      return;
    }
    deps.log.info('registered with the control plane', { agent_id: options.agentId });
    const registered = new AbortController();
    const both = AbortSignal.any([signal, registered.signal]);
    const forgotten = () => {
      deps.log.warn('the control plane does not know this agent any more; registering again');
      registered.abort();
    };
    await Promise.all([
      heartbeatLoop(deps, options, forgotten, both),
      statusLoop(deps, options, both),
      commandLoop(deps, options, both),
      resultLoop(deps, options, both),
    ]);
  }
}

/** Tries until it works or the signal aborts. Each failure is told to the state. */
async function untilDone(
  deps: RestSessionDeps,
  what: string,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    const error = await tryOnce(deps, what, signal, work);
    if (error === undefined) {
      return;
    }
    await deps.clock.sleep(retryWaitMs(deps, error, attempt), signal);
  }
}

/** @returns the error, undefined when it worked or was interrupted */
async function tryOnce(
  deps: RestSessionDeps,
  what: string,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<AgentError | undefined> {
  try {
    await work();
    deps.state.succeeded();
    return undefined;
  } catch (thrown) {
    if (signal.aborted) {
      return undefined;
    }
    const error = toAgentError(thrown);
    if (error.code === 'INTERNAL') {
      throw error;
    }
    deps.state.failed(error);
    deps.log.warn('a call to the control plane failed', {
      call: what,
      error_code: error.code,
      error: error.message,
    });
    return error;
  }
}

function retryWaitMs(deps: RestSessionDeps, error: AgentError, attempt: number): number {
  if (error.code === 'TOKEN_REJECTED') {
    return REFUSED_RETRY_MS;
  }
  const asked = error.details?.['retryAfterMs'];
  return Math.max(typeof asked === 'number' ? asked : 0, backoffMs(deps, RETRY, attempt));
}

async function heartbeatLoop(
  deps: RestSessionDeps,
  options: RestSessionOptions,
  forgotten: () => void,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    const error = await tryOnce(deps, 'heartbeat', signal, () =>
      deps.client.heartbeat(deps.heartbeat(), signal),
    );
    if (error?.code === 'NOT_FOUND') {
      forgotten();
      return;
    }
    failures = error === undefined ? 0 : failures + 1;
    const early = deps.random.fraction() * HEARTBEAT_JITTER;
    const pauseMs =
      error === undefined
        ? options.heartbeatIntervalMs * (1 - early)
        : Math.min(retryWaitMs(deps, error, failures), options.heartbeatIntervalMs);
    await deps.clock.sleep(pauseMs, signal);
  }
}

async function statusLoop(
  deps: RestSessionDeps,
  options: RestSessionOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const status = await deps.clusterStatus(signal);
      await deps.client.status(options.agentId, status, signal);
    } catch (thrown) {
      const error = toAgentError(thrown);
      if (signal.aborted) {
        return;
      }
      if (error.code === 'INTERNAL') {
        throw error;
      }
      // Not the session's trouble alone: Kubernetes may be down. The heartbeat tells of the session.
      deps.log.warn('cannot report the cluster status', {
        error_code: error.code,
        error: error.message,
      });
    }
    await deps.clock.sleep(options.statusIntervalMs, signal);
  }
}

async function commandLoop(
  deps: RestSessionDeps,
  options: RestSessionOptions,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    let pauseMs = jittered(deps.random, options.pollIntervalMs);
    const error = await tryOnce(deps, 'fetch commands', signal, async () => {
      takeIn(deps, await deps.client.commands(options.agentId, signal));
    });
    if (error?.code === 'NOT_FOUND') {
      pauseMs = COMMANDS_NOT_OFFERED_MS;
    } else if (error !== undefined) {
      pauseMs = Math.max(pauseMs, retryWaitMs(deps, error, failures));
    }
    failures = error === undefined ? 0 : failures + 1;
    await deps.clock.sleep(pauseMs, signal);
  }
}

/** Each command on its own: a bad one does not stop the others. */
function takeIn(deps: RestSessionDeps, entries: readonly unknown[]): void {
  for (const entry of entries.slice(0, COMMANDS_PER_FETCH_MAX)) {
    const parsed = Command.safeParse(entry);
    if (!parsed.success) {
      const problems = parsed.error.issues.map(
        (issue) => `${issue.path.join('.')}: ${issue.message}`,
      );
      deps.log.error('the control plane sent a command that cannot be read', {
        error_code: 'COMMAND_INVALID',
        error: problems.join('; '),
      });
      continue;
    }
    const outcome = deps.inbox.accept(parsed.data);
    if (outcome === 'accepted') {
      deps.log.info('command accepted', {
        command_id: parsed.data.id,
        command_type: parsed.data.type,
      });
    } else if (outcome === 'full') {
      deps.log.warn('no room for more commands; the rest is fetched again later');
      return;
    }
  }
}

async function resultLoop(
  deps: RestSessionDeps,
  options: RestSessionOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const batch = deps.outbox.pending(RESULT_BATCH);
    for (const { commandId, result } of batch) {
      await sendResult(deps, options, commandId, result, signal);
    }
    if (batch.length === 0) {
      await deps.outbox.whenPending(signal);
    }
  }
}

/** A result that the server will never take must not hold up the others: it is let go, loudly. */
async function sendResult(
  deps: RestSessionDeps,
  options: RestSessionOptions,
  commandId: string,
  result: CommandResult,
  signal: AbortSignal,
): Promise<void> {
  await untilDone(deps, 'send result', signal, async () => {
    try {
      await deps.client.result(options.agentId, commandId, result, signal);
    } catch (thrown) {
      if (!isFinalRefusal(thrown)) {
        throw thrown;
      }
      deps.log.error('the control plane does not take the result of a command; it is dropped', {
        command_id: commandId,
        error_code: thrown.code,
        error: thrown.message,
      });
    }
    deps.outbox.delivered(commandId);
  });
}

function isFinalRefusal(thrown: unknown): thrown is AgentError {
  if (!(thrown instanceof AgentError)) {
    return false;
  }
  const status = thrown.details?.['status'];
  return status === 400 || status === 404 || status === 409 || status === 413 || status === 422;
}

function jittered(random: Random, ms: number): number {
  return ms * (1 - POLL_JITTER + 2 * POLL_JITTER * random.fraction());
}
