import { AgentError, toAgentError } from '../../core/errors.ts';
import { type Policy, requireAllowed } from '../../policy/decision.ts';
import type { CommandJournal } from '../../store/journal/commands.ts';
import type { JournalEntry } from '../../store/journal/rows.ts';
import { findHandler } from './find-handler.ts';
import type { CommandHandler, PreparedCommand } from './handler.ts';

/**
 * A command that was begun this often and never ended is what kills the agent: it is not tried
 * again.
 */
export const ATTEMPTS_MAX = 10;

const NOT_UNDERSTOOD: readonly string[] = ['COMMAND_UNSUPPORTED', 'COMMAND_INVALID'];

interface RunnableDeps {
  readonly journal: Pick<CommandJournal, 'mayHaveRunBefore'>;
  readonly handlers: readonly CommandHandler[];
  readonly policy: Policy;
}

export interface Runnable {
  readonly handler: CommandHandler;
  readonly prepared: PreparedCommand;
}

/** Whether an open command is to run, or the error that it is answered with at once. */
export function runnable(deps: RunnableDeps, entry: JournalEntry): Runnable | AgentError {
  const { type, payload } = entry.command;
  const known = deps.handlers.find((each) => each.type === type);
  const pastError = errorOfThePast(deps, entry, known);
  if (pastError !== undefined) {
    return pastError;
  }
  try {
    const handler = findHandler(deps.handlers, type);
    const prepared = handler.prepare(payload);
    const { namespace } = prepared;
    requireAllowed(deps.policy.command(namespace === undefined ? { type } : { type, namespace }));
    return { handler, prepared };
  } catch (thrown) {
    const error = toAgentError(thrown);
    return wasRunning(entry) && NOT_UNDERSTOOD.includes(error.code) ? begunElsewhere() : error;
  }
}

/** Its history may mean that it must not run (again). */
function errorOfThePast(
  deps: RunnableDeps,
  entry: JournalEntry,
  handler: CommandHandler | undefined,
): AgentError | undefined {
  if (wasRunning(entry) && handler?.afterRestart === 'fail') {
    return outcomeUnknown('The agent was restarted while this command ran; it is not repeated');
  }
  if (entry.attempts >= ATTEMPTS_MAX) {
    return outcomeUnknown(`It was begun ${entry.attempts} times, and the agent ended each time`);
  }
  if (entry.cancelled) {
    const when = wasRunning(entry)
      ? 'while the agent was restarted; what it had done until then stays'
      : 'before it began; nothing was done';
    return new AgentError('COMMAND_CANCELLED', `It was cancelled ${when}`);
  }
  if (deps.journal.mayHaveRunBefore(entry.command)) {
    return outcomeUnknown('It may have run before the store of the agent was damaged');
  }
  return undefined;
}

function wasRunning(entry: JournalEntry): boolean {
  return entry.state === 'running';
}

/** It was begun by a version that knew its type, or a field of it. */
function begunElsewhere(): AgentError {
  return outcomeUnknown(
    'Another version of the agent has begun it; this one does not understand it',
  );
}

function outcomeUnknown(message: string): AgentError {
  return new AgentError('COMMAND_OUTCOME_UNKNOWN', message, {
    hint: 'Look whether it had its effect, then send a new command if need be',
  });
}
