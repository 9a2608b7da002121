import { within } from '../../core/waiting.ts';
import { readLeaveNote } from '../../host/cluster/leave-note.ts';
import type { LeaveNote } from '../../protocol/files/leave-note.ts';
import type { MachineContext } from '../context.ts';
import { isGone } from './ask.ts';
import { clientAs } from './client.ts';

/** A removal must not wait long for a cluster that is away. */
const ANSWER_TIMEOUT_MS = 10_000;

/**
 * Whether a `leave` was ended after the cluster had let the node go. It may not have come to note that, so
 * the cluster is asked.
 * @returns false also where nobody answers
 */
export async function hasLeft(context: MachineContext): Promise<boolean> {
  const note = await readLeaveNote(context);
  return note?.state === 'leaving' ? await isLetGo(context, note) : note?.state === 'out';
}

async function isLetGo(
  context: MachineContext,
  { role, node, servers }: LeaveNote,
): Promise<boolean> {
  try {
    return await within(context.clock, ANSWER_TIMEOUT_MS, context.signal, async (signal) => {
      const client = await clientAs({ ...context, signal }, role, node, servers);
      return await isGone({ signal }, { node, client });
    });
  } catch {
    return false; // Its certificates are gone, or nobody answers in time.
  }
}
