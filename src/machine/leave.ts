/**
 * `leave`: a worker moves its pods away, goes out of the cluster and is uninstalled. All of it happens
 * with the credentials of its own kubelet, but for the end: only a server may delete a Node
 * (docs/decisions/0027-leave.md).
 */
import type { V1Node } from '@kubernetes/client-node';
import { nodeNameOf } from '../config/node-settings.ts';
import { AgentError } from '../core/errors.ts';
import { K3S_UNITS } from '../core/k3s-places.ts';
import { KINDS, pathOfObject } from '../core/kinds.ts';
import { LEFT_ANNOTATION } from '../core/labels.ts';
import { pollUntil } from '../core/waiting.ts';
import { readJoined } from '../host/cluster/joined-worker.ts';
import { interrupted } from '../host/engine/interrupted.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import type { UndoOptions } from '../host/engine/resource.ts';
import { isActive, systemctl } from '../host/engine/systemctl.ts';
import { readK3sConfig } from '../host/k3s/config.ts';
import { ApiRejection } from '../kubernetes/api/rejection.ts';
import type { MachineContext } from './context.ts';
import { type LeaveOptions, type LeavingWorker, moveAway } from './move-pods.ts';
import { nodeClient } from './node-client.ts';
import { type Uninstalled, uninstall } from './uninstall.ts';

/** How long the agent on a server has to take the node out; it takes about a second. */
const TAKEN_OUT_MS = 60_000;
const LOOK_INTERVAL_MS = 1_000;

export interface LeaveOutcome extends Uninstalled {
  readonly node: string;
  /** `<namespace>/<pod>`, moved away. */
  readonly evicted: readonly string[];
  /** Deleted by force. */
  readonly deleted: readonly string[];
  /** False: the agent on a server did not take the node out in time, and does it later. */
  readonly takenOut: boolean;
}

/** @throws AgentError NOT_INSTALLED, CLUSTER_EXISTS on a server, K3S_NOT_READY */
export async function leavingWorker(
  context: MachineContext,
  inventory: HostInventory,
): Promise<LeavingWorker> {
  const joined = await readJoined(context);
  if (inventory.has('k3s', 'server') && joined !== undefined) {
    throw new AgentError('CLUSTER_EXISTS', 'A further server cannot leave by this command yet', {
      hint:
        'Drain it on another server (sudo k3s kubectl drain NAME), then sudo pipeops-agent uninstall ' +
        'here, and at once, on the other: sudo k3s kubectl delete node NAME',
    });
  }
  if (inventory.has('k3s', 'server')) {
    throw new AgentError(
      'CLUSTER_EXISTS',
      'This machine is the first server of its cluster, and its agent speaks for it',
      { hint: 'To end the cluster: sudo pipeops-agent uninstall, on its other nodes first' },
    );
  }
  if (!inventory.has('k3s', 'agent') || joined === undefined) {
    throw new AgentError('NOT_INSTALLED', 'This machine has joined no cluster', {
      hint: 'To remove what was installed: sudo pipeops-agent uninstall',
    });
  }
  // Of k3s' own settings: those of the agent go first, and a run that was ended then goes on here.
  const name = (await readK3sConfig(context))?.['node-name'];
  const node = nodeNameOf(context.hostname, typeof name === 'string' ? name : undefined);
  return { node, client: await nodeClient(context, joined.serverUrl) };
}

/**
 * Drains this node, takes it out of the cluster and removes everything. Where that fails before k3s is
 * stopped, the node takes pods again as before.
 * @throws AgentError DRAIN_INCOMPLETE, SERVER_UNREACHABLE, INTERRUPTED; what an uninstallation throws
 */
export async function leaveCluster(
  context: MachineContext,
  inventory: HostInventory,
  worker: LeavingWorker,
  options: LeaveOptions,
): Promise<LeaveOutcome> {
  const unit = K3S_UNITS.agent;
  const there = await findOwnNode(context, worker, options);
  const isRunning = await isActive(context, unit);
  // A run that was killed after it had stopped k3s goes on here: nobody could end the pods any more.
  const moved =
    there === undefined || !isRunning
      ? { evicted: [], deleted: [] }
      : await moveAway(context, worker, there, options);
  await systemctl(context, 'stop', unit);
  const takenOut =
    there === undefined ? await isGone(context, worker) : await takeOut(context, worker);
  const how: UndoOptions = {
    ...{ keepK3s: false, keepData: false, isUnfinished: false },
    // Data of volumes cannot be had again: whoever leaves has not asked for its end.
    ...{ deleteData: false, isForgotten: takenOut },
  };
  return { ...(await uninstall(context, inventory, how)), node: worker.node, ...moved, takenOut };
}

/** @returns undefined where it is gone, or with force where nobody answers */
async function findOwnNode(
  context: MachineContext,
  { node, client }: LeavingWorker,
  { force }: LeaveOptions,
): Promise<V1Node | undefined> {
  try {
    return await client.find<V1Node>(pathOf(node), context.signal);
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

/** Says on the Node that its machine has left, and waits until the agent on a server has heard it. */
async function takeOut(context: MachineContext, worker: LeavingWorker): Promise<boolean> {
  const { node, client } = worker;
  const progress = await context.progress('Leave the cluster');
  const at = context.clock.now().toISOString();
  const patch = { metadata: { annotations: { [LEFT_ANNOTATION]: at } } };
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: TAKEN_OUT_MS };
  let isSaid = false;
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    try {
      if (!isSaid) {
        await client.patch<V1Node>(pathOf(node), patch, context.signal);
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

async function isGone(
  context: Pick<MachineContext, 'signal'>,
  { node, client }: LeavingWorker,
): Promise<boolean> {
  try {
    return (await client.find<V1Node>(pathOf(node), context.signal)) === undefined;
  } catch {
    return false; // Nobody says so.
  }
}

function pathOf(node: string): string {
  return pathOfObject(KINDS.node, { name: node });
}
