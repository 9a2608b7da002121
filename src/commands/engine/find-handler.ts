import { AgentError } from '../../core/errors.ts';
import type { CommandHandler } from './handler.ts';
import { malformed } from './malformed.ts';

/** @throws AgentError COMMAND_UNSUPPORTED with the known types */
export function findHandler(handlers: readonly CommandHandler[], type: string): CommandHandler {
  const handler = [...handlers, malformed].find((each) => each.type === type);
  if (handler === undefined) {
    const known = handlers.map((each) => each.type);
    throw new AgentError('COMMAND_UNSUPPORTED', `This agent has no command "${type}"`, {
      hint: `It knows: ${known.join(', ')}`,
      details: { known },
    });
  }
  return handler;
}
