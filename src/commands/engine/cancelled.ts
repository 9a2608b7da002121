import { AgentError } from '../../core/errors.ts';
import type { CommandContext } from './handler.ts';

/**
 * What to throw when work ended by `thrown`: at a cancel, a deadline or a stop of the daemon the
 * interruption is not the news, but how far it came; the executor knows which of them it was.
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
