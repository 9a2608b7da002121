import { AgentError } from '../core/errors.ts';
import type { CommandHandler } from './engine/handler.ts';
import { malformed } from './engine/malformed.ts';
import { applyCommand } from './handlers/apply.ts';
import { cordonCommand, uncordonCommand } from './handlers/cordon.ts';
import { deleteCommand } from './handlers/delete.ts';
import { deployCommand } from './handlers/deploy.ts';
import { drainCommand } from './handlers/drain.ts';
import { execCommand } from './handlers/exec.ts';
import { getResourcesCommand } from './handlers/get-resources.ts';
import { logsCommand } from './handlers/logs.ts';
import { restartCommand } from './handlers/restart.ts';
import { rollbackCommand } from './handlers/rollback.ts';
import { scaleCommand } from './handlers/scale.ts';
import { updateCommand } from './handlers/update.ts';

/** Every command type that this agent knows. */
export const COMMAND_HANDLERS: readonly CommandHandler[] = [
  deployCommand,
  updateCommand,
  scaleCommand,
  restartCommand,
  rollbackCommand,
  deleteCommand,
  applyCommand,
  getResourcesCommand,
  logsCommand,
  execCommand,
  cordonCommand,
  uncordonCommand,
  drainCommand,
];

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
