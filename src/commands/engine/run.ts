import { AgentError, assertNever, toAgentError } from '../../core/errors.ts';
import type { Command } from '../../protocol/rest.ts';
import type { CommandOutcome, PreparedCommand } from './handler.ts';

/**
 * How long a handler may go on after it was told to stop, before its command is answered anyway.
 */
export const STOP_GRACE_MS = 10_000;

type Outcome = CommandOutcome<Record<string, unknown>>;

/** Why the work was told to stop. */
export type Interruption = 'cancel' | 'deadline' | 'stop';

export type Ending =
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  | { readonly kind: 'thrown'; readonly error: AgentError }
  /** It went on after it was told to stop. */
  | { readonly kind: 'abandoned' };

export function deadlineMs(command: Command, prepared: PreparedCommand): number {
  const asked = command.timeout_seconds;
  return asked === null || asked === undefined ? prepared.timeoutMs : asked * 1_000;
}

/**
 * Decides how a command is answered.
 * @returns undefined when the agent stops and the command is taken up at its next start
 */
export function answerOf(
  type: string,
  ending: Ending,
  interruption: Interruption | undefined,
  afterRestart: 'rerun' | 'fail',
): Outcome | AgentError | undefined {
  if (ending.kind === 'outcome' && ending.outcome.failure === undefined) {
    return ending.outcome; // It succeeded: an interruption came too late.
  }
  switch (interruption) {
    case undefined:
      return plain(ending);
    case 'stop':
      // A command that is not repeated is answered with its outcome, if it has one.
      return afterRestart === 'fail' && ending.kind === 'outcome' ? plain(ending) : undefined;
    case 'cancel':
      return interrupted('COMMAND_CANCELLED', `"${type}" was cancelled while it ran`, ending);
    case 'deadline':
      return interrupted('TIMEOUT', `"${type}" did not finish in time`, ending);
    default:
      return assertNever(interruption);
  }
}

function plain(ending: Ending): Outcome | AgentError {
  switch (ending.kind) {
    case 'outcome':
      return ending.outcome;
    case 'thrown':
      return ending.error;
    case 'abandoned':
      return new AgentError('INTERNAL', 'A command was given up without being told to stop');
    default:
      return assertNever(ending);
  }
}

const TIME_HINT = 'Look at the state of what it changed, or give it a larger timeout_seconds';

/** Keeps what the handler says about how far it got. */
function interrupted(
  code: 'COMMAND_CANCELLED' | 'TIMEOUT',
  what: string,
  ending: Ending,
): Outcome | AgentError {
  // No hint for a cancel: whoever cancelled knows why. A time that was too short can be made
  // longer.
  const error = (
    message: string,
    facts: { readonly details?: Readonly<Record<string, unknown>> } = {},
  ) =>
    code === 'TIMEOUT'
      ? new AgentError(code, message, { hint: TIME_HINT, ...facts })
      : new AgentError(code, message, facts);
  switch (ending.kind) {
    case 'abandoned':
      return error(`${what}, and does not stop: it may still have an effect`);
    case 'thrown': {
      const { message, details } = ending.error;
      const facts = details === undefined ? {} : { details };
      return error(`${what}: ${message}`, facts);
    }
    case 'outcome': {
      const far = ending.outcome.failure?.message ?? '';
      return { ...ending.outcome, failure: error(`${what}: ${far}`) };
    }
    default:
      return assertNever(ending);
  }
}

/** Runs the handler; an error that it throws is an ending like any other. */
export async function endingOf(work: () => Promise<Outcome>): Promise<Ending> {
  try {
    return { kind: 'outcome', outcome: await work() };
  } catch (thrown) {
    return { kind: 'thrown', error: toAgentError(thrown) };
  }
}
