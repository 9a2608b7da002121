/** A node that takes no new pods, and a cluster that has seen it. */
import type { V1Node } from '@kubernetes/client-node';
import { AgentError, expectedError } from '../../core/errors.ts';
import { CORDONED_TAINT } from '../../core/labels.ts';
import { pollUntil } from '../../core/waiting.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import { setSchedulable } from '../../kubernetes/nodes/scheduling.ts';
import type { MachineContext } from '../context.ts';
import { pathOfNode } from '../leave/client.ts';
import type { NodeHere } from './here.ts';

const LOOK_INTERVAL_MS = 1_000;
/** Four times the time after which another server takes over from one that leads and is gone. */
const LIMIT_MS = 60_000;

/**
 * Waits until the controllers have marked it. They also make an evicted pod anew, and take it out of its Services: while
 * they do not work, it is asked although it is gone. When the k3s of the server that leads them restarts, that is about
 * 16 s.
 * @throws AgentError K3S_NOT_READY, KUBERNETES_API, TIMEOUT, INTERRUPTED
 */
export async function cordonAndSee(
  { clock, signal }: Pick<MachineContext, 'clock' | 'signal'>,
  { client, node }: Pick<NodeHere, 'client' | 'node'>,
): Promise<void> {
  await setSchedulable({ kubernetes: client, signal }, node, false);
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: LIMIT_MS };
  const end = await pollUntil(clock, pace, signal, async () => {
    const found = await client.find<V1Node>(pathOfNode(node), signal).catch(unanswered);
    const isSeen = found?.spec?.taints?.some(({ key }) => key === CORDONED_TAINT) === true;
    return isSeen ? { found: true } : { soFar: undefined };
  });
  if (end.kind === 'aborted') {
    throw interrupted('while pods were about to be moved away');
  }
  if (end.kind === 'late') {
    throw new AgentError('K3S_NOT_READY', 'The controllers of the cluster do not work', {
      hint: 'See why, on each server: journalctl -u k3s. The pods may run on: --no-drain',
    });
  }
}

/** An API that restarts, or whose server does. */
function unanswered(thrown: unknown): undefined {
  expectedError(thrown);
}
