import { AgentError } from '../../core/errors.ts';
import { type DrainProgress, type DrainState, drainNode } from '../../kubernetes/nodes/drain.ts';
import { noNodeLeft, setSchedulable, takesPods } from '../../kubernetes/nodes/scheduling.ts';
import { DrainCheckpoint, DrainData, DrainPayload } from '../../protocol/commands/node.ts';
import { stopped } from '../engine/cancelled.ts';
import { readCheckpoint } from '../engine/checkpoint.ts';
import { type CommandContext, commandHandler } from '../engine/handler.ts';

/** Time allowed beyond the drain itself. */
const MARGIN_MS = 60_000;
/** Refused pods that the message names, at most; `data` has all. */
const NAMED_MAX = 5;

/**
 * drain: cordons a node and evicts its pods as disruption budgets allow. Evictions are noted before
 * they are done, so a rerun after a crash continues and reports everything.
 */
export const drainCommand = commandHandler({
  type: 'drain',
  payload: DrainPayload,
  data: DrainData,
  priority: 'normal',
  lane: ({ node }) => `node/${node}`,
  timeoutMs: (payload) => payload.timeout_seconds * 1_000 + MARGIN_MS,
  afterRestart: 'rerun',
  run: async (payload, context) => {
    const { node } = payload;
    const before = readCheckpoint(DrainCheckpoint, context);
    const cordoned = before?.cordoned ?? (await takesPods(context, node));
    const { evicted, evicting } = before ?? { evicted: [], evicting: [] };
    await note(context, cordoned, { evicted, evicting });
    await setSchedulable(context, node, false);
    const state = await drainNode(
      { clock: context.clock, client: context.kubernetes },
      {
        node,
        graceSeconds: payload.grace_seconds,
        timeoutMs: payload.timeout_seconds * 1_000,
        before: { evicted, evicting },
      },
      (round) => tell(round, cordoned, context),
      context.signal,
    );
    const data = dataOf(node, cordoned, state);
    if (context.signal.aborted) {
      throw stopped(context, undefined, `The drain was stopped. ${summaryOf(node, state)}`, data);
    }
    const output = `${summaryOf(node, state)}\n${await noNodeLeft(context)}`;
    return state.refused.length === 0 ? { output, data } : { output, data, failure: left(data) };
  },
});

async function tell(state: DrainState, cordoned: boolean, context: CommandContext): Promise<void> {
  const { evicted, refused } = state;
  await note(context, cordoned, state);
  context.progress(`${evicted.length} pods evicted, ${refused.length} to go`, {
    evicted: evicted.length,
    left: refused.length,
  });
}

async function note(
  context: CommandContext,
  cordoned: boolean,
  { evicted, evicting }: DrainProgress,
): Promise<void> {
  const checkpoint: DrainCheckpoint = { cordoned, evicted: [...evicted], evicting: [...evicting] };
  await context.setCheckpoint(checkpoint);
}

function dataOf(node: string, cordoned: boolean, state: DrainState): DrainData {
  const { evicted, refused, skipped } = state;
  return {
    node,
    cordoned,
    evicted: [...evicted],
    refused: [...refused],
    skipped: [...skipped],
  };
}

function summaryOf(node: string, { evicted, refused, skipped }: DrainState): string {
  return (
    `${node} is cordoned: ${evicted.length} pods evicted, ` +
    `${refused.length} left, ${skipped.length} stay`
  );
}

function left({ node, refused }: DrainData): AgentError {
  const named = refused.slice(0, NAMED_MAX).map(({ pod, reason }) => `${pod}: ${reason}`);
  const more = refused.length > NAMED_MAX ? `; and ${refused.length - NAMED_MAX} more` : '';
  return new AgentError(
    'DRAIN_INCOMPLETE',
    `${refused.length} pods are left on ${node}: ${named.join('; ')}${more}`,
    { hint: 'It stays cordoned. Correct what the reasons name and drain again, or uncordon it' },
  );
}
