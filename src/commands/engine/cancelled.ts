import { AgentError } from '../../core/errors.ts';
import type { CommandContext } from './handler.ts';

/**
 * The error to throw when work was ended by `thrown`. At a cancel, a deadline or a stop of the
 * daemon the useful fact is how far the work got; the executor knows which of the three it was.
 */
export function stopped(
  context: Pick<CommandContext, 'signal'>,
  thrown: unknown,
  howFar: string,
  details: Readonly<Record<string, unknown>>,
): unknown {
  return context.signal.aborted
    ? new AgentError('COMMAND_CANCELLED', howFar, { cause: thrown, details })
    : thrown;
}
