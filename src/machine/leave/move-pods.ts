/** The pods of a machine that leaves: moved away, with disruption budgets kept, or ended by force. */
import type { V1Node, V1Pod } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfKind, pathOfObject } from '../../core/kinds.ts';
import { pollUntil, within } from '../../core/waiting.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import type { KubernetesClient } from '../../kubernetes/api/client.ts';
import { type DrainState, drainNode, type PodReason } from '../../kubernetes/nodes/drain.ts';
import { planFor } from '../../kubernetes/nodes/drain-plan.ts';
import { setSchedulable } from '../../kubernetes/nodes/scheduling.ts';
import type { MachineContext } from '../context.ts';

/** How long pods that are deleted by force may take to end. */
const FORCED_END_MS = 30_000;
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

/** A node of a cluster that is to leave it, and the way to the cluster. */
export interface LeavingNode {
  readonly node: string;
  readonly client: KubernetesClient;
}

/** What would be moved away, and what stays till the end, by pod. @throws AgentError KUBERNETES_API */
export async function planLeave(
  context: Pick<MachineContext, 'signal'>,
  { node, client }: LeavingNode,
): Promise<readonly { readonly pod: string; readonly action: string; readonly reason: string }[]> {
  const pods = await podsOn(client, node, context.signal);
  return pods.map((pod) => {
    const plan = planFor(pod);
    const reason = plan.action === 'evict' ? '' : plan.reason;
    return { pod: nameOf(pod), action: plan.action, reason };
  });
}

interface Moved {
  readonly evicted: readonly string[];
  readonly deleted: readonly string[];
}

/**
 * Where it fails, the node takes pods again as before.
 * @param node as it was found
 * @throws AgentError DRAIN_INCOMPLETE, INTERRUPTED, KUBERNETES_API
 */
export async function moveAway(
  context: MachineContext,
  { node, client }: LeavingNode,
  { spec }: V1Node,
  options: LeaveOptions,
): Promise<Moved> {
  const { signal } = context;
  const progress = await context.progress('Move the pods away');
  try {
    await setSchedulable({ kubernetes: client, signal }, node, false);
    const state = await drain(context, { node, client }, options, progress.update);
    if (signal.aborted) {
      throw interrupted('while pods were moved away');
    }
    if (state.refused.length > 0 && !options.force) {
      throw incomplete(state.refused);
    }
    const deleted = await endByForce(context, { node, client }, state.refused);
    if (signal.aborted) {
      throw interrupted('while pods were ended');
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
  { node, client }: LeavingNode,
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
  { node, client }: LeavingNode,
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

async function podsOn(
  client: KubernetesClient,
  node: string,
  signal: AbortSignal,
): Promise<readonly V1Pod[]> {
  const query = { fieldSelector: `spec.nodeName=${node}` };
  return (await client.page<V1Pod>(pathOfKind(KINDS.pod), query, signal)).items;
}

function nameOf({ metadata }: V1Pod): string {
  return `${metadata?.namespace}/${metadata?.name}`;
}
