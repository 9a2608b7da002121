import type { DeploymentTarget } from '../../protocol/commands/fields.ts';
import { type CommandDefinition, type CommandHandler, commandHandler } from '../engine/handler.ts';

/**
 * A command about one Deployment. Those about the same one never run at once; those about others
 * need not wait for it. All can be run again: server-side apply, or a target that is journalled.
 */
export function workloadCommand<
  Payload extends DeploymentTarget,
  Data extends Record<string, unknown>,
>(
  definition: Omit<
    CommandDefinition<Payload, Data>,
    'lane' | 'namespace' | 'priority' | 'afterRestart'
  >,
): CommandHandler {
  return commandHandler({
    ...definition,
    lane: ({ namespace, name }) => `ns/${namespace}/${name}`,
    namespace: ({ namespace }) => namespace,
    priority: 'normal',
    afterRestart: 'rerun',
  });
}
