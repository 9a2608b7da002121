/**
 * `leave`: a worker moves its pods away, goes out of the cluster and is uninstalled. All of it happens
 * with the credentials of its own kubelet, but for the end: only a server may delete a Node
 * (docs/decisions/0027-leave.md).
 */
import type { V1Node, V1Pod } from '@kubernetes/client-node';
import { nodeNameOf } from '../config/node-settings.ts';
import { AgentError } from '../core/errors.ts';
import { K3S_UNITS } from '../core/k3s-places.ts';
import { KINDS, pathOfKind, pathOfObject } from '../core/kinds.ts';
import { LEFT_ANNOTATION } from '../core/labels.ts';
import { pollUntil, within } from '../core/waiting.ts';
import { readJoined } from '../host/cluster/joined-worker.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import type { UndoOptions } from '../host/engine/resource.ts';
import { isActive, systemctl } from '../host/engine/systemctl.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import { ApiRejection } from '../kubernetes/api/rejection.ts';
import { type DrainState, drainNode, type PodReason } from '../kubernetes/nodes/drain.ts';
import { planFor } from '../kubernetes/nodes/drain-plan.ts';
import { setSchedulable } from '../kubernetes/nodes/scheduling.ts';
import type { MachineContext } from './context.ts';
import { loadEffectiveConfig } from './effective-config.ts';
import { nodeClient } from './node-client.ts';
import { type Uninstalled, uninstall } from './uninstall.ts';

/** How long pods that are deleted by force may take to end. */
const FORCED_END_MS = 30_000;
/** How long the agent on a server has to take the node out; it takes about a second. */
const TAKEN_OUT_MS = 60_000;
const LOOK_INTERVAL_MS = 1_000;
/** To let the node take pods again, after a failure. */
const UNDO_MS = 10_000;
/** Pods that a message names. */
const NAMED_MAX = 10;

export interface LeaveOptions {
  /** For moving the pods away. */
  readonly timeoutMs: number;
  /** Goes on where pods cannot be moved, or the cluster does not answer. */
  readonly force: boolean;
}

export interface LeaveOutcome extends Uninstalled {
  readonly node: string;
  /** `<namespace>/<pod>`, moved away. */
  readonly evicted: readonly string[];
  /** Deleted by force. */
  readonly deleted: readonly string[];
  /** False: the agent on a server did not take the node out in time, and does it later. */
  readonly takenOut: boolean;
}

/** A worker of a cluster that is to leave it. */
export interface LeavingWorker {
  readonly node: string;
  readonly client: KubernetesClient;
}

/** @throws AgentError NOT_INSTALLED, CLUSTER_EXISTS on a server, K3S_NOT_READY */
export async function leavingWorker(
  context: MachineContext,
  inventory: HostInventory,
): Promise<LeavingWorker> {
  if (inventory.has('k3s', 'server')) {
    throw new AgentError(
      'CLUSTER_EXISTS',
      'This machine is the only server of its cluster: without it the cluster ends',
      {
        hint:
          'To end the cluster: sudo pipeops-agent uninstall, on its workers first. ' +
          'Several servers, of which one can leave, come with high availability',
      },
    );
  }
  const joined = await readJoined(context);
  if (!inventory.has('k3s', 'agent') || joined === undefined) {
    throw new AgentError('NOT_INSTALLED', 'This machine has joined no cluster', {
      hint: 'To remove what was installed: sudo pipeops-agent uninstall',
    });
  }
  const { config } = await loadEffectiveConfig(context, {});
  const node = nodeNameOf(context.hostname, config.k3s.node_name);
  return { node, client: await nodeClient(context, joined.serverUrl) };
}

/** What would be moved away, and what stays till the end, by pod. @throws AgentError KUBERNETES_API */
export async function planLeave(
  context: Pick<MachineContext, 'signal'>,
  { node, client }: LeavingWorker,
): Promise<readonly { readonly pod: string; readonly action: string; readonly reason: string }[]> {
  const pods = await podsOn(client, node, context.signal);
  return pods.map((pod) => {
    const plan = planFor(pod);
    const reason = plan.action === 'evict' ? '' : plan.reason;
    return { pod: nameOf(pod), action: plan.action, reason };
  });
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

interface Moved {
  readonly evicted: readonly string[];
  readonly deleted: readonly string[];
}

async function moveAway(
  context: MachineContext,
  { node, client }: LeavingWorker,
  { spec }: V1Node,
  options: LeaveOptions,
): Promise<Moved> {
  const { signal } = context;
  const progress = await context.progress('Move the pods away');
  try {
    await setSchedulable({ kubernetes: client, signal }, node, false);
    const state = await drain(context, { node, client }, options, progress.update);
    if (signal.aborted) {
      throw interrupted('pods were moved away');
    }
    if (state.refused.length > 0 && !options.force) {
      throw incomplete(state.refused);
    }
    const deleted = await endByForce(context, { node, client }, state.refused);
    if (signal.aborted) {
      throw interrupted('pods were ended');
    }
    progress.done(`${state.evicted.length} moved, ${deleted.length} ended`);
    return { evicted: state.evicted, deleted };
  } catch (thrown) {
    progress.fail();
    if (spec?.unschedulable !== true) {
      // The machine stays a node: it takes pods as before.
      await within(context.clock, UNDO_MS, undefined, (limited) =>
        setSchedulable({ kubernetes: client, signal: limited }, node, true),
      ).catch(() => undefined);
    }
    throw thrown;
  }
}

function drain(
  context: MachineContext,
  { node, client }: LeavingWorker,
  { timeoutMs }: LeaveOptions,
  update: (text: string) => void,
): Promise<DrainState> {
  const before = { evicted: [], evicting: [] };
  return drainNode(
    { clock: context.clock, client },
    { node, graceSeconds: undefined, timeoutMs, before },
    async ({ evicted, refused }) => {
      const [first] = refused;
      const waits = first === undefined ? '' : `; ${first.pod}: ${first.reason}`;
      update(`${evicted.length} moved, ${refused.length} left${waits}`);
    },
    context.signal,
  );
}

function interrupted(during: string): AgentError {
  return new AgentError('INTERRUPTED', `Interrupted while ${during}`, {
    hint: 'Run the same command again: it goes on where it ended',
  });
}

function incomplete(refused: readonly PodReason[]): AgentError {
  const named = refused.slice(0, NAMED_MAX).map(({ pod, reason }) => `${pod} (${reason})`);
  const more = refused.length > NAMED_MAX ? ` and ${refused.length - NAMED_MAX} more` : '';
  return new AgentError(
    'DRAIN_INCOMPLETE',
    `These pods cannot be moved away: ${named.join(', ')}${more}`,
    {
      hint:
        'Nothing was removed, and the node takes pods again. See to them, give them more time ' +
        'with --timeout, or end them with --force',
      details: { refused },
    },
  );
}

/** Deletes what could not be moved, and gives it a moment to end. @returns what was deleted */
async function endByForce(
  context: MachineContext,
  { node, client }: LeavingWorker,
  refused: readonly PodReason[],
): Promise<readonly string[]> {
  if (refused.length === 0) {
    return [];
  }
  const { signal } = context;
  const names = refused.map(({ pod }) => pod);
  const left = async () =>
    (await podsOn(client, node, signal)).filter((pod) => names.includes(nameOf(pod)));
  for (const { metadata } of await left()) {
    const { namespace, name = '', uid = '' } = metadata ?? {};
    await client.remove(pathOfObject(KINDS.pod, { namespace, name }), uid, signal);
  }
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: FORCED_END_MS };
  await pollUntil(context.clock, pace, signal, async () =>
    (await left()).length === 0 ? { found: true } : { soFar: undefined },
  );
  return names;
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
    throw interrupted('the cluster was left');
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

async function podsOn(
  client: KubernetesClient,
  node: string,
  signal: AbortSignal,
): Promise<readonly V1Pod[]> {
  const query = { fieldSelector: `spec.nodeName=${node}` };
  return (await client.page<V1Pod>(pathOfKind(KINDS.pod), query, signal)).items;
}

function pathOf(node: string): string {
  return pathOfObject(KINDS.node, { name: node });
}

function nameOf({ metadata }: V1Pod): string {
  return `${metadata?.namespace}/${metadata?.name}`;
}
