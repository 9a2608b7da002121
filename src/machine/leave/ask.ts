/** What workers and servers that leave ask and note alike. */
import type { V1Node } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { writeLeaveNote } from '../../host/cluster/leave-note.ts';
import { unlessFull } from '../../host/engine/disk-full.ts';
import { ApiRejection } from '../../kubernetes/api/rejection.ts';
import type { LeaveNote } from '../../protocol/files/leave-note.ts';
import type { MachineContext } from '../context.ts';
import { pathOfNode } from './client.ts';
import type { Leaving } from './find.ts';
import type { LeaveOptions, LeavingNode } from './move-pods.ts';

/** How the cluster was left. */
export interface Gone {
  /** `<namespace>/<pod>`, moved away. */
  readonly evicted: readonly string[];
  /** Deleted by force. */
  readonly deleted: readonly string[];
  /** False: the cluster still lists the node. */
  readonly takenOut: boolean;
}

/** @returns undefined where it is gone, or with force where nobody answers */
export async function findOwnNode(
  context: MachineContext,
  { node, client }: LeavingNode,
  { force }: Pick<LeaveOptions, 'force'>,
): Promise<V1Node | undefined> {
  try {
    return await client.find<V1Node>(pathOfNode(node), context.signal);
  } catch (thrown) {
    const isAway = thrown instanceof AgentError && !(thrown instanceof ApiRejection);
    if (isAway && force) {
      return undefined;
    }
    throw isAway
      ? new AgentError('SERVER_UNREACHABLE', `The cluster does not answer: ${thrown.message}`, {
          hint:
            'Check on the server that k3s runs, then run the same command again. ' +
            'To leave without a word: --force',
        })
      : thrown;
  }
}

/** Whether the cluster says that it has no such node. */
export async function isGone(
  context: Pick<MachineContext, 'signal'>,
  { node, client }: LeavingNode,
): Promise<boolean> {
  try {
    return (await client.find<V1Node>(pathOfNode(node), context.signal)) === undefined;
  } catch {
    return false; // Nobody says so.
  }
}

/** A full disk stops nothing: the removal makes room. */
export async function note(
  context: MachineContext,
  { role, node, cluster }: Leaving,
  state: LeaveNote['state'],
): Promise<void> {
  const servers = [...(cluster?.servers ?? [])];
  await unlessFull(writeLeaveNote(context, { v: 1, role, node, servers, state }));
}
