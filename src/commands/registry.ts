import { AgentError } from '../core/errors.ts';
import type { CommandHandler } from './handler.ts';
import { deleteCommand } from './handlers/delete.ts';
import { deployCommand } from './handlers/deploy.ts';
import { getResourcesCommand } from './handlers/get-resources.ts';
import { scaleCommand } from './handlers/scale.ts';

/** Every command type that this agent knows. */
export const COMMAND_HANDLERS: readonly CommandHandler[] = [
  deployCommand,
  scaleCommand,
  deleteCommand,
  getResourcesCommand,
];

/** @throws AgentError COMMAND_UNSUPPORTED with the known types */
export function findHandler(handlers: readonly CommandHandler[], type: string): CommandHandler {
  const handler = handlers.find((each) => each.type === type);
  if (handler === undefined) {
    const known = handlers.map((each) => each.type);
    throw new AgentError('COMMAND_UNSUPPORTED', `This agent has no command "${type}"`, {
      hint: `It knows: ${known.join(', ')}`,
      details: { known },
    });
  }
  return handler;
}
