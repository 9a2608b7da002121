import type { z } from 'zod';
import { AgentError } from '../../core/errors.ts';
import type { CommandContext } from './handler.ts';

/**
 * The note of an earlier attempt, perhaps by another version of the agent; undefined at the first.
 * @throws AgentError COMMAND_OUTCOME_UNKNOWN when it cannot be read: beginning anew could undo or
 *   repeat the earlier attempt
 */
export function readCheckpoint<T>(
  schema: z.ZodType<T>,
  { checkpoint }: Pick<CommandContext, 'checkpoint'>,
): T | undefined {
  if (checkpoint === undefined) {
    return undefined;
  }
  const parsed = schema.safeParse(checkpoint);
  if (!parsed.success) {
    throw new AgentError(
      'COMMAND_OUTCOME_UNKNOWN',
      'Another version of the agent has begun it, and its notes cannot be read; it may have run',
      {
        hint: 'Look whether it had its effect, then send a new command if need be',
        cause: parsed.error,
      },
    );
  }
  return parsed.data;
}
