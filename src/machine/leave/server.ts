/** A server leaves while the others are well. */
import type { V1Node } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { K3S_UNITS } from '../../core/k3s-places.ts';
import { UNIT_NAME } from '../../core/places.ts';
import { within } from '../../core/waiting.ts';
import { readClusterInfo } from '../../host/cluster/info.ts';
import { dropLeaveNote } from '../../host/cluster/leave-note.ts';
import { serversWithout } from '../../host/cluster/server-leave.ts';
import { isActive, systemctl } from '../../host/engine/systemctl.ts';
import { keepK3sDown, letK3sRestart } from '../../host/k3s/no-restart.ts';
import { setSchedulable } from '../../kubernetes/nodes/scheduling.ts';
import type { MachineContext } from '../context.ts';
import { handOver } from '../farewell.ts';
import type { RunStep } from '../reported-steps.ts';
import { findOwnNode, type Gone, isGone, note } from './ask.ts';
import { isAskedOut, leaveEtcd } from './etcd.ts';
import type { Leaving } from './find.ts';
import { type LeaveOptions, type LeavingNode, moveAway } from './move-pods.ts';
import { takeOut } from './take-out.ts';

/** To make this machine the server again that it was, after a failure. */
const UNDO_MS = 30_000;
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
    if (there !== undefined && !(await leaveEtcd(context, self))) {
      await stay(context, self, there);
      throw notTakenOut();
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

function notTakenOut(): AgentError {
  return new AgentError('SERVERS_NOT_READY', 'k3s does not take this server out of etcd', {
    hint:
      'It stays a server. See on the others why: sudo journalctl -u k3s | grep etcd. ' +
      'Then run the same command again',
  });
}
