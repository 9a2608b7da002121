import { noNodeLeft, setSchedulable, takesPods } from '../../kubernetes/nodes/scheduling.ts';
import { CordonCheckpoint, CordonData, CordonPayload } from '../../protocol/commands/node.ts';
import { readCheckpoint } from '../engine/checkpoint.ts';
import { type CommandContext, commandHandler } from '../engine/handler.ts';

const TIMEOUT_MS = 60_000;

/** cordon: a node takes no new pods; those that run stay. */
export const cordonCommand = schedulingCommand('cordon', false);

/** uncordon: a node takes pods again. */
export const uncordonCommand = schedulingCommand('uncordon', true);

function schedulingCommand(type: 'cordon' | 'uncordon', schedulable: boolean) {
  return commandHandler({
    type,
    payload: CordonPayload,
    data: CordonData,
    priority: 'normal',
    lane: ({ node }) => `node/${node}`,
    timeoutMs: () => TIMEOUT_MS,
    afterRestart: 'rerun',
    run: async ({ node }, context) => {
      const changed = (await schedulableBefore(context, node)) !== schedulable;
      await setSchedulable(context, node, schedulable);
      const state = schedulable ? 'takes pods' : 'takes no new pods';
      const before = changed ? '' : ', as before';
      const warning = schedulable ? '' : await noNodeLeft(context);
      return {
        output: `${node} ${state}${before}\n${warning}`,
        data: { node, schedulable, changed },
      };
    },
  });
}

/**
 * Whether the node was schedulable when this command first found it, also in a rerun after a crash.
 */
async function schedulableBefore(context: CommandContext, node: string): Promise<boolean> {
  const noted = readCheckpoint(CordonCheckpoint, context);
  if (noted !== undefined) {
    return noted.schedulable;
  }
  const checkpoint: CordonCheckpoint = { schedulable: await takesPods(context, node) };
  await context.setCheckpoint(checkpoint);
  return checkpoint.schedulable;
}
