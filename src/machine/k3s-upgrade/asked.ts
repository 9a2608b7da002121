/** From time to time on each node: whether the administrator asks it for another k3s, by an annotation of its Node. */
import { expectedError } from '../../core/errors.ts';
import { openInventory } from '../../host/engine/inventory.ts';
import { readK3sUpgrade } from '../../host/k3s/upgrade/record.ts';
import type { WantedK3s } from '../../protocol/node-k3s.ts';
import type { MachineContext } from '../context.ts';
import { beginK3sUpgrade, startK3sUpgrade } from './begin.ts';
import { type NodeHere, nodeHere } from './here.ts';
import { answeredOrOpen, answerOnNode } from './node-answer.ts';
import { planK3sUpgrade } from './plan.ts';

interface OpenRequest {
  readonly here: NodeHere;
  readonly wanted: WantedK3s;
}

async function openRequest(context: MachineContext): Promise<OpenRequest | undefined> {
  const here = await nodeHere(context, await openInventory(context));
  const wanted = await answeredOrOpen(context, here);
  return wanted === undefined ? undefined : { here, wanted };
}

/** While the cluster does not answer, nobody asks. @throws what will not pass by itself */
function askedAgainLater(thrown: unknown): undefined {
  const error = expectedError(thrown);
  if (!error.retryable) {
    throw error;
  }
}

/**
 * Begins what is asked for and was not begun yet. What does not answer now is asked again the next time.
 * @param say what is done, if anything
 * @throws AgentError of this machine: FILE_ACCESS, DISK_FULL, TOOL_FAILED
 */
export async function beginAskedK3sUpgrade(
  context: MachineContext,
  say: (line: string) => void,
): Promise<void> {
  if ((await readK3sUpgrade(context)) !== undefined) {
    return; // Its unit goes on, and answers in the end.
  }
  const open = await openRequest(context).catch(askedAgainLater);
  if (open === undefined) {
    return;
  }
  const { here, wanted } = open;
  const { id, to } = wanted;
  const answer = (what: 'begun' | 'done' | 'failed', why: string | null = null) =>
    answerOnNode(context, here, { id, state: what, why });
  try {
    const plan = await planK3sUpgrade(context, here, wanted);
    if (plan.steps.length === 0) {
      await answer('done');
      return;
    }
    say(`A server asks for k3s ${to} in the place of ${plan.from}`);
    await answer('begun');
    await beginK3sUpgrade(context, id, plan);
    await startK3sUpgrade(context);
  } catch (thrown) {
    const error = expectedError(thrown);
    say(`k3s ${to} is not begun: ${error.message}`);
    await answer('failed', `${error.message} [${error.code}]`);
  }
}
