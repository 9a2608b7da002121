import { AgentError, expectedError } from '../../core/errors.ts';
import { limitedLog } from '../../core/limited-log.ts';
import type { Clock, Log, Random } from '../../core/ports.ts';
import { COMMANDS_PER_FETCH_MAX } from '../../protocol/rest.ts';
import { retryPolicy } from '../session/endpoint-policy.ts';
import { failureOf, LATER_HINT } from '../session/failure.ts';
import type { CommandInbox, ResultOutbox } from '../session/ports.ts';
import { readCommand } from '../session/read-command.ts';
import type { RestClient } from './client.ts';

const POLL_JITTER = 0.2;
/** Results sent before the outbox is asked for more. */
const RESULT_BATCH = 50;
/** A result whose command the server does not know (404) is dropped after this many tries. */
const UNKNOWN_COMMAND_TRIES = 5;

export interface RestCommandsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly client: RestClient;
  readonly inbox: CommandInbox;
  readonly outbox: ResultOutbox;
}

interface CommandOptions {
  readonly agentId: string;
  readonly pollIntervalMs: number;
  readonly notOfferedMs: number;
}

/** Fetches commands (seed R4) until the signal. */
export async function restCommandLoop(
  deps: RestCommandsDeps,
  options: CommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const retry = retryPolicy(deps);
  const complain = limitedLog(deps.clock, (message, fields) => deps.log.warn(message, fields));
  while (!signal.aborted) {
    const jitter = 1 - POLL_JITTER + 2 * POLL_JITTER * deps.random.fraction();
    let pauseMs = options.pollIntervalMs * jitter;
    try {
      await takeIn(deps, await deps.client.commands(options.agentId, signal));
      retry.succeeded();
    } catch (thrown) {
      const error = expected(thrown, signal);
      if (error === undefined) {
        return;
      }
      if (error.code === 'NOT_FOUND') {
        pauseMs = options.notOfferedMs;
      } else {
        pauseMs = Math.max(pauseMs, retry.failed(error));
        complain('cannot fetch commands', { error_code: error.code, error: error.message });
      }
    }
    await deps.clock.sleep(pauseMs, signal);
  }
}

/** Takes each command separately: a bad one does not stop the others. */
async function takeIn(deps: RestCommandsDeps, entries: readonly unknown[]): Promise<void> {
  for (const entry of entries.slice(0, COMMANDS_PER_FETCH_MAX)) {
    const read = readCommand(entry);
    if (typeof read === 'string') {
      deps.log.error('the control plane sent a command that cannot be read', {
        error_code: 'COMMAND_INVALID',
        error: read,
      });
      continue;
    }
    const outcome = await deps.inbox.accept(read);
    if (outcome === 'accepted') {
      deps.log.info('command accepted', { command_id: read.id, command_type: read.type });
    } else if (outcome === 'full') {
      deps.log.warn('no room for more commands; the rest is fetched again later');
      return;
    }
  }
}

interface ResultOptions {
  readonly agentId: string;
  readonly notOfferedMs: number;
  readonly standing: 'registered' | 'beside';
}

type Pending = ReturnType<ResultOutbox['pending']>[number];

/** Sends results (seed R5) until they are taken, and goes on until the signal. */
export async function restResultLoop(
  deps: RestCommandsDeps,
  options: ResultOptions,
  signal: AbortSignal,
): Promise<void> {
  const retry = retryPolicy(deps);
  const unknownTries = new Map<string, number>();
  while (!signal.aborted) {
    const batch = deps.outbox.pending(RESULT_BATCH);
    let failure: AgentError | undefined;
    let isOffered = true;
    for (const pending of batch) {
      try {
        const outcome = await sendResult(deps, options, pending, unknownTries, signal);
        isOffered &&= outcome !== 'not offered';
        retry.succeeded();
      } catch (thrown) {
        failure = expected(thrown, signal);
        break;
      }
    }
    if (signal.aborted) {
      return;
    }
    if (!isOffered) {
      await deps.clock.sleep(options.notOfferedMs, signal);
    } else if (failure !== undefined) {
      deps.log.warn('a call to the control plane failed', {
        call: 'send result',
        error_code: failure.code,
        error: failure.message,
      });
      await deps.clock.sleep(retry.failed(failure), signal);
    } else if (batch.length === 0) {
      unknownTries.clear();
      await deps.outbox.whenPending(signal);
    } else if (unknownTries.size > 0) {
      await deps.clock.sleep(
        retry.failed(new AgentError('NOT_FOUND', 'not known there', { hint: LATER_HINT })),
        signal,
      );
    }
  }
}

/**
 * A result that the server will never take must not hold up the others: it is dropped, with a log
 * line.
 */
async function sendResult(
  deps: RestCommandsDeps,
  options: ResultOptions,
  { commandId, result }: Pending,
  unknownTries: Map<string, number>,
  signal: AbortSignal,
): Promise<'done' | 'later' | 'not offered'> {
  try {
    await deps.client.result(options.agentId, commandId, result, signal);
  } catch (thrown) {
    if (!(thrown instanceof AgentError)) {
      throw thrown;
    }
    const failure = failureOf(thrown);
    const status = failure.kind === 'answered' ? failure.status : undefined;
    if (status === 404) {
      if (options.standing === 'beside') {
        return 'not offered';
      }
      const tries = (unknownTries.get(commandId) ?? 0) + 1;
      unknownTries.set(commandId, tries);
      if (tries < UNKNOWN_COMMAND_TRIES) {
        return 'later'; // Perhaps the agent was forgotten; then it registers again.
      }
    } else if (!(status === 400 || status === 409 || status === 413 || status === 422)) {
      throw thrown;
    }
    deps.log.error('the control plane does not take the result of a command; it is dropped', {
      command_id: commandId,
      error_code: thrown.code,
      error: thrown.message,
    });
  }
  await deps.outbox.delivered(commandId);
  unknownTries.delete(commandId);
  return 'done';
}

/** @returns undefined when it was only interrupted; throws whatever is not expected trouble */
function expected(thrown: unknown, signal: AbortSignal): AgentError | undefined {
  if (signal.aborted) {
    return undefined;
  }
  return expectedError(thrown);
}
