/** A server's member goes out of etcd by k3s' own hand, and while k3s still runs: of two both must agree. */
import type { V1Node } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import {
  ETCD_MEMBER_ANNOTATION,
  ETCD_REMOVE_ANNOTATION,
  ETCD_REMOVED_ANNOTATION,
} from '../../core/labels.ts';
import { pollUntil } from '../../core/waiting.ts';
import { etcdMembers } from '../../host/cluster/etcd-members.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import type { MachineContext } from '../context.ts';
import { pathOfNode } from './client.ts';
import type { LeavingNode } from './move-pods.ts';

/** k3s may first have to choose another server for it, and etcd another leader: some 20 s. */
const MEMBER_OUT_MS = 90_000;
const LOOK_INTERVAL_MS = 1_000;

/**
 * Asks k3s for it on the Node, and waits until it has said there that etcd has agreed.
 * @returns whether it is out; false: this server is a member as before, and k3s is not asked any more
 * @throws AgentError SERVERS_NOT_READY where nobody knows, INTERRUPTED; a second run goes on then
 */
export async function leaveEtcd(context: MachineContext, self: LeavingNode): Promise<boolean> {
  const progress = await context.progress('Leave etcd');
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: MEMBER_OUT_MS };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    try {
      return (await isOutOfEtcd(context, self)) ? { found: true } : { soFar: 'it is listed still' };
    } catch (thrown) {
      if (!(thrown instanceof AgentError)) {
        throw thrown;
      }
      progress.update(thrown.message); // An election may be under way.
      return { soFar: thrown.message };
    }
  });
  if (end.kind === 'found') {
    progress.done('its member is out');
    return true;
  }
  progress.fail();
  if (end.kind === 'aborted') {
    throw interrupted('while etcd was left');
  }
  if (await takenBack(context, self)) {
    return false;
  }
  const message = `etcd does not say that this server is out: ${end.soFar}`;
  throw new AgentError('SERVERS_NOT_READY', message, {
    hint:
      'k3s is not started here again, so that it does not come back. When the other servers are ' +
      'well, run the same command again: it goes on where it ended',
  });
}

/** Whether an earlier run came so far. If k3s were started again here, it would join anew. */
export function isAskedOut({ metadata }: V1Node): boolean {
  const { annotations = {} } = metadata ?? {};
  return annotations[ETCD_REMOVE_ANNOTATION] === 'true';
}

/** Asks for it where nobody has yet. */
async function isOutOfEtcd(context: MachineContext, self: LeavingNode): Promise<boolean> {
  const found = await self.client.find<V1Node>(pathOfNode(self.node), context.signal);
  const noted = found?.metadata?.annotations ?? {};
  const removed = noted[ETCD_REMOVED_ANNOTATION];
  const member = noted[ETCD_MEMBER_ANNOTATION];
  // One that was removed once and has joined anew has another name.
  if (found === undefined || (removed !== undefined && [undefined, removed].includes(member))) {
    return true;
  }
  if (noted[ETCD_REMOVE_ANNOTATION] !== 'true') {
    await askEtcd(context, self, 'true');
  }
  return false;
}

async function askEtcd(
  { signal }: MachineContext,
  { node, client }: LeavingNode,
  remove: 'true' | null,
): Promise<void> {
  const patch = { metadata: { annotations: { [ETCD_REMOVE_ANNOTATION]: remove } } };
  await client.patch<V1Node>(pathOfNode(node), patch, signal);
}

/** Asks for it no more. @returns whether this server is a member all the same */
async function takenBack(context: MachineContext, self: LeavingNode): Promise<boolean> {
  try {
    await askEtcd(context, self, null);
  } catch {
    return false; // k3s may do it yet.
  }
  return await isMember(context, self.node);
}

/** Whether etcd itself says so, here. */
async function isMember(context: MachineContext, node: string): Promise<boolean> {
  try {
    return (await etcdMembers(context)).some((member) => member.node === node);
  } catch {
    return false; // It has ended, as it does where it was taken out; or nobody knows.
  }
}
