import { CordonData, CordonPayload } from '../../protocol/commands/node.ts';
import { commandHandler } from '../handler.ts';
import { noNodeLeft, setSchedulable } from '../node-scheduling.ts';

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
      const { changed } = await setSchedulable(context, node, schedulable);
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
