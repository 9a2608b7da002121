import type { CommandHandler } from './engine/handler.ts';
import { applyCommand } from './handlers/apply.ts';
import { cordonCommand, uncordonCommand } from './handlers/cordon.ts';
import { deleteCommand } from './handlers/delete.ts';
import { deployCommand } from './handlers/deploy.ts';
import { drainCommand } from './handlers/drain.ts';
import { execCommand } from './handlers/exec.ts';
import { getResourcesCommand } from './handlers/get-resources.ts';
import { joinTokenCommand } from './handlers/join-token.ts';
import { logsCommand } from './handlers/logs.ts';
import { restartCommand } from './handlers/restart.ts';
import { rollbackCommand } from './handlers/rollback.ts';
import { rotateTokenCommand } from './handlers/rotate-token.ts';
import { scaleCommand } from './handlers/scale.ts';
import { snapshotCommand } from './handlers/snapshot.ts';
import { supportBundleCommand } from './handlers/support-bundle.ts';
import { updateCommand } from './handlers/update.ts';
import { upgradeAgentCommand } from './handlers/upgrade-agent.ts';
import { upgradeK3sCommand } from './handlers/upgrade-k3s.ts';

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
  joinTokenCommand,
  snapshotCommand,
  upgradeAgentCommand,
  supportBundleCommand,
  rotateTokenCommand,
  upgradeK3sCommand,
];
