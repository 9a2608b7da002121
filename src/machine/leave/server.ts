/**
 * A server leaves while the others are well. Its member is taken out of etcd by k3s, and while it still runs:
 * of two members both must agree to that.
 */
import type { V1Node } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { K3S_UNITS } from '../../core/k3s-places.ts';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import {
  ETCD_MEMBER_ANNOTATION,
  ETCD_REMOVE_ANNOTATION,
  ETCD_REMOVED_ANNOTATION,
} from '../../core/labels.ts';
import { UNIT_NAME } from '../../core/places.ts';
import { pollUntil, within } from '../../core/waiting.ts';
import { etcdMembers } from '../../host/cluster/etcd-members.ts';
import { readClusterInfo } from '../../host/cluster/info.ts';
import { dropLeaveNote } from '../../host/cluster/leave-note.ts';
import { serversWithout } from '../../host/cluster/server-leave.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import { isActive, systemctl } from '../../host/engine/systemctl.ts';
import { keepK3sDown, letK3sRestart } from '../../host/k3s/no-restart.ts';
import type { KubernetesClient } from '../../kubernetes/api/client.ts';
import { setSchedulable } from '../../kubernetes/nodes/scheduling.ts';
import type { MachineContext } from '../context.ts';
import { handOver } from '../farewell.ts';
import type { RunStep } from '../reported-steps.ts';
import { findOwnNode, type Gone, isGone, note } from './ask.ts';
import { pathOfNode } from './client.ts';
import type { Leaving } from './find.ts';
import { type LeaveOptions, type LeavingNode, moveAway } from './move-pods.ts';

/** k3s may first have to choose another server for it, and etcd another leader: some 20 s. */
const MEMBER_OUT_MS = 90_000;
/** k3s deletes the Node once the member is gone, and the node password a moment later. */
const NODE_OUT_MS = 60_000;
const LOOK_INTERVAL_MS = 1_000;
/** To make this machine the server again that it was, after a failure. */
const UNDO_MS = 30_000;
const SYSTEM_NAMESPACE = 'kube-system';
/** Steps that `leaveAsServer` tells of. */
export const SERVER_STEPS = 4;

/**
 * Where it fails before etcd is asked, the machine is a server as before. After that, a second run goes on.
 * @throws AgentError DRAIN_INCOMPLETE, SERVER_UNREACHABLE, SERVERS_NOT_READY, KUBERNETES_API, INTERRUPTED
 */
export async function leaveAsServer(
  context: MachineContext,
  leaving: Leaving,
  self: LeavingNode,
  options: LeaveOptions,
  step: RunStep,
): Promise<Gone> {
  const there = await findOwnNode(context, self, options);
  // Where an earlier run has asked etcd, k3s ends here at any moment, and its API with it.
  const isWhole =
    there !== undefined && !isAskedOut(there) && (await isActive(context, K3S_UNITS.server));
  const moved = await step('move-pods', 'Move the pods away', async () =>
    isWhole ? await moveAway(context, self, there, options) : { evicted: [], deleted: [] },
  );
  await step('hand-over', 'Hand the session over', () =>
    orStay(context, self, there, async () => {
      await note(context, leaving, 'leaving');
      await handOver(context);
      if (isWhole) {
        await keepK3sDown(context);
        // Moving the pods has taken its time.
        await serversWithout(context, self.node, (await readClusterInfo(context)).nodes);
      }
    }),
  );
  await step('leave-etcd', 'Leave etcd', async () => {
    if (there !== undefined) {
      await leaveEtcd(context, self, there);
    }
    await systemctl(context, 'stop', K3S_UNITS.server);
  });
  const takenOut = await step('take-out', 'Leave the cluster', async () => {
    const isHeard = there !== undefined || (await isGone(context, self));
    return isHeard && (await takeOut(context, self, options));
  });
  return { ...moved, takenOut };
}

/** Runs what comes before the first change that cannot be taken back. */
async function orStay(
  context: MachineContext,
  self: LeavingNode,
  there: V1Node | undefined,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (there !== undefined && !isAskedOut(there)) {
      await stay(context, self, there);
    }
    throw thrown;
  }
}

/** Whether an earlier run came so far. If k3s were started again here, it would join anew. */
function isAskedOut({ metadata }: V1Node): boolean {
  const { annotations = {} } = metadata ?? {};
  return annotations[ETCD_REMOVE_ANNOTATION] === 'true';
}

/** Makes this machine the server again that it was, as far as that goes: it is told why it could not leave. */
async function stay(
  context: MachineContext,
  { node, client }: LeavingNode,
  there: V1Node,
): Promise<void> {
  const ignored = () => undefined;
  await letK3sRestart(context).catch(ignored);
  await systemctl(context, 'start', UNIT_NAME).catch(ignored);
  if (there.spec?.unschedulable !== true) {
    await within(context.clock, UNDO_MS, undefined, (signal) =>
      setSchedulable({ kubernetes: client, signal }, node, true),
    ).catch(ignored);
  }
  await dropLeaveNote(context).catch(ignored);
}

/** Has k3s take the member out, by its own annotation, and waits until etcd has agreed. */
async function leaveEtcd(context: MachineContext, self: LeavingNode, there: V1Node): Promise<void> {
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
    return;
  }
  progress.fail();
  if (end.kind === 'aborted') {
    throw interrupted('while etcd was left');
  }
  if (await takenBack(context, self)) {
    await stay(context, self, there);
    throw new AgentError('SERVERS_NOT_READY', 'k3s does not take this server out of etcd', {
      hint:
        'It stays a server. See on the others why: sudo journalctl -u k3s | grep etcd. ' +
        'Then run the same command again',
    });
  }
  throw new AgentError(
    'SERVERS_NOT_READY',
    `etcd does not say that this server is out: ${end.soFar}`,
    {
      hint:
        'k3s is not started here again, so that it does not come back. When the other servers are ' +
        'well, run the same command again: it goes on where it ended',
    },
  );
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

/**
 * Deletes the Node, and the node password, which k3s does as well: the name is free then.
 * @returns false where the cluster does not do it, with force
 */
async function takeOut(
  context: MachineContext,
  { node, client }: LeavingNode,
  { force }: Pick<LeaveOptions, 'force'>,
): Promise<boolean> {
  const progress = await context.progress('Leave the cluster');
  const name = `${node}.node-password.k3s`;
  const paths = [
    pathOfNode(node),
    pathOfObject(KINDS.secret, { namespace: SYSTEM_NAMESPACE, name }),
  ];
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: NODE_OUT_MS };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    try {
      const left = await Promise.all(paths.map((path) => removeObject(context, client, path)));
      return left.every((isLeft) => !isLeft) ? { found: true } : { soFar: 'it is listed still' };
    } catch (thrown) {
      if (!(thrown instanceof AgentError)) {
        throw thrown;
      }
      progress.update(thrown.message);
      return { soFar: thrown.message };
    }
  });
  if (end.kind === 'found') {
    progress.done('the node is out');
    return true;
  }
  progress.fail();
  if (end.kind === 'aborted') {
    throw interrupted('while the cluster was left');
  }
  if (force) {
    return false;
  }
  throw new AgentError('KUBERNETES_API', `The cluster still lists this node: ${end.soFar}`, {
    hint: 'Run the same command again: it goes on where it ended. To go without it: --force',
  });
}

/** @returns whether it was there: until a finalizer is done it stays */
async function removeObject(
  { signal }: MachineContext,
  client: KubernetesClient,
  path: string,
): Promise<boolean> {
  const found = await client.find(path, signal);
  const { uid, deletionTimestamp } = found?.metadata ?? {};
  if (uid !== undefined && deletionTimestamp === undefined) {
    await client.remove(path, uid, signal);
  }
  return found !== undefined;
}
