/**
 * `leave`: a node moves its pods away, goes out of the cluster and is uninstalled
 * (docs/decisions/0027-leave.md). How far it is stands in a note, so that a second run goes on wherever this
 * one ended.
 */
import type { HostInventory } from '../../host/engine/inventory.ts';
import type { MachineContext } from '../context.ts';
import { part, type Report, reportedSteps } from '../reported-steps.ts';
import { REMOVE_ALL, type Uninstalled, uninstall } from '../uninstall.ts';
import { type Gone, note } from './ask.ts';
import type { Leaving } from './find.ts';
import type { LeaveOptions } from './move-pods.ts';
import { leaveAsServer, SERVER_STEPS } from './server.ts';
import { leaveAsWorker, WORKER_STEPS } from './worker.ts';

/** Of the whole, for who watches: the cluster is left, and then the machine is cleared. */
const HALF = 0.5;

export interface LeaveOutcome extends Uninstalled, Gone {
  readonly node: string;
}

/**
 * Leaves the cluster and removes everything.
 * @throws AgentError DRAIN_INCOMPLETE, SERVER_UNREACHABLE, SERVERS_NOT_READY, KUBERNETES_API, INTERRUPTED; what
 *   an uninstallation throws
 */
export async function leaveCluster(
  context: MachineContext,
  inventory: HostInventory,
  leaving: Leaving,
  options: LeaveOptions,
  report: Report,
): Promise<LeaveOutcome> {
  const gone = await goOut(context, leaving, options, part(report, 0, HALF));
  // Data of volumes cannot be had again: whoever leaves has not asked for its end.
  const how = { ...REMOVE_ALL, isForgotten: gone.takenOut };
  const removed = await uninstall(context, inventory, how, part(report, HALF, 1));
  return { ...removed, node: leaving.node, ...gone };
}

async function goOut(
  context: MachineContext,
  leaving: Leaving,
  options: LeaveOptions,
  report: Report,
): Promise<Gone> {
  const { cluster, role } = leaving;
  if (cluster === undefined) {
    await note(context, leaving, leaving.note?.state ?? 'unheard');
    return { evicted: [], deleted: [], takenOut: leaving.note?.state === 'out' };
  }
  const gone =
    role === 'server'
      ? await leaveAsServer(context, leaving, cluster, options, reportedSteps(report, SERVER_STEPS))
      : await leaveAsWorker(
          context,
          leaving,
          cluster,
          options,
          reportedSteps(report, WORKER_STEPS),
        );
  await note(context, leaving, gone.takenOut ? 'out' : 'unheard');
  return gone;
}
