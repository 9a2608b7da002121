/** A worker leaves with the credentials of its kubelet, but for the end: only a server may delete a Node. */
import type { V1Node } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { K3S_UNITS } from '../../core/k3s-places.ts';
import { LEFT_ANNOTATION } from '../../core/labels.ts';
import { pollUntil } from '../../core/waiting.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import { isActive, systemctl } from '../../host/engine/systemctl.ts';
import type { MachineContext } from '../context.ts';
import type { RunStep } from '../reported-steps.ts';
import { findOwnNode, type Gone, isGone, note } from './ask.ts';
import { pathOfNode } from './client.ts';
import type { Leaving } from './find.ts';
import { type LeaveOptions, type LeavingNode, moveAway } from './move-pods.ts';

/** How long the agent on a server has to take the node out; it takes about a second. */
const TAKEN_OUT_MS = 60_000;
const LOOK_INTERVAL_MS = 1_000;
/** Steps that `leaveAsWorker` tells of. */
export const WORKER_STEPS = 2;

/**
 * Drains this node and has it taken out. Where that fails before k3s is stopped, the node takes pods again as
 * before.
 * @throws AgentError DRAIN_INCOMPLETE, SERVER_UNREACHABLE, INTERRUPTED
 */
export async function leaveAsWorker(
  context: MachineContext,
  leaving: Leaving,
  worker: LeavingNode,
  options: LeaveOptions,
  step: RunStep,
): Promise<Gone> {
  const unit = K3S_UNITS.agent;
  const there = await findOwnNode(context, worker, options);
  const isRunning = await isActive(context, unit);
  // A run that was killed after it had stopped k3s goes on here: nobody could end the pods any more.
  const moved = await step('move-pods', 'Move the pods away', async () =>
    there === undefined || !isRunning
      ? { evicted: [], deleted: [] }
      : await moveAway(context, worker, there, options),
  );
  const takenOut = await step('take-out', 'Leave the cluster', async () => {
    await note(context, leaving, 'leaving');
    await systemctl(context, 'stop', unit);
    return there === undefined ? await isGone(context, worker) : await takeOut(context, worker);
  });
  return { ...moved, takenOut };
}

/** Says on the Node that its machine has left, and waits until the agent on a server has heard it. */
async function takeOut(context: MachineContext, worker: LeavingNode): Promise<boolean> {
  const { node, client } = worker;
  const progress = await context.progress('Leave the cluster');
  const at = context.clock.now().toISOString();
  const patch = { metadata: { annotations: { [LEFT_ANNOTATION]: at } } };
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: TAKEN_OUT_MS };
  let isSaid = false;
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    try {
      if (!isSaid) {
        await client.patch<V1Node>(pathOfNode(node), patch, context.signal);
        isSaid = true;
      }
    } catch (thrown) {
      if (!(thrown instanceof AgentError)) {
        throw thrown;
      }
      progress.update(thrown.message);
    }
    return (await isGone(context, worker)) ? { found: true } : { soFar: undefined };
  });
  if (end.kind === 'aborted') {
    progress.fail();
    throw interrupted('while the cluster was left');
  }
  const isOut = end.kind === 'found';
  progress.done(isOut ? 'the node is out' : 'the node is still listed');
  return isOut;
}
