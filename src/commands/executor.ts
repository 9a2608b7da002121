import { AgentError, toAgentError } from '../core/errors.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { type Policy, requireAllowed } from '../policy/policy.ts';
import type { Command, CommandResult } from '../protocol/rest.ts';
import type { CommandJournal, JournalEntry } from '../store/command-journal.ts';
import type { CommandContext, CommandHandler, PreparedCommand } from './handler.ts';
import { findHandler } from './registry.ts';
import { resultOfError, resultOfOutcome } from './result.ts';

/** Commands that run at once, at most. */
export const LANES_MAX = 8;

interface ExecutorDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: CommandJournal;
  readonly kubernetes: KubernetesClient;
  readonly handlers: readonly CommandHandler[];
  readonly policy: Policy;
}

export interface ExecutorCounts {
  readonly succeeded: number;
  readonly failed: number;
}

export interface CommandExecutor extends Service {
  counts(): ExecutorCounts;
}

/**
 * Takes commands from the journal, oldest first, and runs each whose lane is free. Whatever
 * happens to a command ends in exactly one result in the journal; when the daemon stops
 * meanwhile, the command stays open and is taken up at the next start.
 */
export function commandExecutor(deps: ExecutorDeps): CommandExecutor {
  const counts = { succeeded: 0, failed: 0 };
  const count = (result: CommandResult) => {
    counts[result.success ? 'succeeded' : 'failed'] += 1;
  };
  return {
    name: 'command-executor',
    counts: () => ({ ...counts }),
    start: async (signal) => {
      failInterrupted(deps, count);
      return { done: loop(deps, count, signal) };
    },
  };
}

/** Commands that must not be repeated, and whose end nobody saw, are answered so. */
function failInterrupted(deps: ExecutorDeps, count: (result: CommandResult) => void): void {
  for (const entry of deps.journal.open()) {
    const handler = deps.handlers.find((each) => each.type === entry.command.type);
    if (entry.state === 'running' && handler?.afterRestart === 'fail') {
      const error = new AgentError(
        'COMMAND_OUTCOME_UNKNOWN',
        'The agent was restarted while this command ran; it is not repeated',
        { hint: 'Look whether it had its effect, then send a new command if need be' },
      );
      finish(deps, entry, count, (times) => resultOfError(error, times), entry.attempts, 0);
    }
  }
}

async function loop(
  deps: ExecutorDeps,
  count: (result: CommandResult) => void,
  signal: AbortSignal,
): Promise<void> {
  const running = new Map<string, { readonly lane: string; readonly done: Promise<void> }>();
  while (!signal.aborted) {
    for (const entry of deps.journal.open()) {
      const id = entry.command.id;
      if (running.has(id) || running.size >= LANES_MAX) {
        continue;
      }
      const prepared = prepare(deps, entry, count);
      if (prepared === undefined) {
        continue;
      }
      // The lane counts as taken for later commands too, so that their order is kept.
      const laneTaken = [...running.values()].some((each) => each.lane === prepared.lane);
      if (!laneTaken) {
        const done = runOne(deps, entry, prepared, count, signal).finally(() => {
          running.delete(id);
        });
        running.set(id, { lane: prepared.lane, done });
      }
    }
    await nextWork(deps, running, signal);
  }
  await Promise.all([...running.values()].map((each) => each.done));
}

/** Waits for a new command, the end of a running one, or the signal. */
async function nextWork(
  deps: ExecutorDeps,
  running: ReadonlyMap<string, { readonly done: Promise<void> }>,
  signal: AbortSignal,
): Promise<void> {
  const stopWaiting = new AbortController();
  const accepted = deps.journal.whenAccepted(AbortSignal.any([signal, stopWaiting.signal]));
  await Promise.race([accepted, ...[...running.values()].map((each) => each.done)]);
  stopWaiting.abort();
  await accepted;
}

/** A command that cannot even begin is answered at once. */
function prepare(
  deps: ExecutorDeps,
  entry: JournalEntry,
  count: (result: CommandResult) => void,
): PreparedCommand | undefined {
  try {
    const { type, payload } = entry.command;
    const prepared = findHandler(deps.handlers, type).prepare(payload);
    const { namespace } = prepared;
    requireAllowed(deps.policy.command(namespace === undefined ? { type } : { type, namespace }));
    return prepared;
  } catch (thrown) {
    const error = toAgentError(thrown);
    finish(deps, entry, count, (times) => resultOfError(error, times), entry.attempts, 0);
    return undefined;
  }
}

async function runOne(
  deps: ExecutorDeps,
  entry: JournalEntry,
  prepared: PreparedCommand,
  count: (result: CommandResult) => void,
  stop: AbortSignal,
): Promise<void> {
  const attempt = deps.journal.begin(entry.command.id);
  const startedAt = deps.clock.monotonic();
  const timeoutMs = deadlineMs(entry.command, prepared);
  const deadline = new AbortController();
  const over = new AbortController();
  const timer = deps.clock.sleep(timeoutMs, over.signal).then((whole) => {
    if (whole) {
      deadline.abort();
    }
  });
  const context = contextOf(deps, entry, AbortSignal.any([stop, deadline.signal]));
  context.log.info('command started', { attempt });
  const finishWith = (make: Parameters<typeof finish>[3]) =>
    finish(deps, entry, count, make, attempt, deps.clock.monotonic() - startedAt);
  try {
    const outcome = await prepared.run(context);
    finishWith((times) => resultOfOutcome(outcome, times));
  } catch (thrown) {
    if (stop.aborted && !deadline.signal.aborted) {
      context.log.info('command interrupted by the stop of the agent; it will be taken up again');
      return;
    }
    const error = deadline.signal.aborted ? timedOut(entry.command.type, timeoutMs) : thrown;
    finishWith((times) => resultOfError(toAgentError(error), times));
  } finally {
    over.abort();
    await timer;
  }
}

function deadlineMs(command: Command, prepared: PreparedCommand): number {
  const asked = command.timeout_seconds;
  return asked === null || asked === undefined ? prepared.timeoutMs : asked * 1_000;
}

function timedOut(type: string, timeoutMs: number): AgentError {
  return new AgentError('TIMEOUT', `"${type}" did not finish in ${timeoutMs} ms`, {
    hint: 'Look at the state of what it changed, or give it a larger timeout_seconds',
  });
}

function contextOf(deps: ExecutorDeps, entry: JournalEntry, signal: AbortSignal): CommandContext {
  const { id, type } = entry.command;
  return {
    clock: deps.clock,
    kubernetes: deps.kubernetes,
    policy: deps.policy,
    commandId: id,
    signal,
    log: deps.log.with({ command_id: id, command_type: type }),
    checkpoint: entry.checkpoint,
    setCheckpoint: async (value) => deps.journal.checkpoint(id, value),
    progress: (message) => deps.log.info('command progress', { command_id: id, message }),
  };
}

function finish(
  deps: ExecutorDeps,
  entry: JournalEntry,
  count: (result: CommandResult) => void,
  make: (times: Parameters<typeof resultOfError>[1]) => CommandResult,
  attempts: number,
  durationMs: number,
): void {
  const finishedAt = deps.clock.now();
  const began = attempts === 0 ? null : new Date(finishedAt.getTime() - durationMs).toISOString();
  const startedAt = entry.startedAt ?? began;
  const result = make({ attempts, startedAt, finishedAt, durationMs });
  deps.journal.finish(entry.command.id, result);
  count(result);
  deps.log.info(result.success ? 'command succeeded' : 'command failed', {
    command_id: entry.command.id,
    command_type: entry.command.type,
    duration_ms: Math.round(durationMs),
    attempts,
    error_code: result.error_code,
  });
}
