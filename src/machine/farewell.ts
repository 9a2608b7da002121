/**
 * Whether the control plane hears that the agent of a cluster is gone for good. The only word for it that it
 * knows is the last heartbeat of a session (docs/decisions/0027-leave.md), so there must be a session.
 */
import { AgentError } from '../core/errors.ts';
import { UNIT_NAME } from '../core/places.ts';
import { pollUntil } from '../core/waiting.ts';
import { hasControlPlaneToken } from '../host/agent/control-plane-token.ts';
import { interrupted } from '../host/engine/interrupted.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import { systemctl } from '../host/engine/systemctl.ts';
import { askDaemon, askSession } from './ask-daemon.ts';
import type { MachineContext } from './context.ts';
import { loadEffectiveConfig } from './effective-config.ts';

const LOOK_INTERVAL_MS = 1_000;

/** What the control plane has of this cluster. */
export interface Farewell {
  readonly control_plane: string;
  /** Null where the agent does not run, which alone knows it. */
  readonly agent_id: string | null;
  readonly cluster_name: string | null;
  /** Whether there is a session, which ends with that word. */
  readonly told: boolean;
}

/** @returns null where no control plane has heard of this machine's agent */
export async function lookAtFarewell(
  context: MachineContext,
  inventory: HostInventory,
): Promise<Farewell | null> {
  if (inventory.has('k3s', 'agent')) {
    return null; // A worker has no session: the agent on a server tells of the nodes.
  }
  try {
    const { agent, session } = await askDaemon(context, 0);
    const isAlone = agent.role === 'node' || session.phase === 'standalone';
    return isAlone || session.control_plane === null
      ? null
      : {
          control_plane: session.control_plane,
          agent_id: agent.id,
          cluster_name: agent.cluster_name,
          told: session.phase === 'connected',
        };
  } catch (thrown) {
    if (!(thrown instanceof AgentError)) {
      throw thrown;
    }
    return await ofStoppedAgent(context, inventory);
  }
}

async function ofStoppedAgent(
  context: MachineContext,
  inventory: HostInventory,
): Promise<Farewell | null> {
  try {
    if (!(await hasControlPlaneToken(context, inventory))) {
      return null;
    }
    const { config } = await loadEffectiveConfig(context, {});
    const { agent, cluster, control_plane } = config;
    const agentId = agent.id || null; // Empty where it has chosen one itself.
    const names = { agent_id: agentId, cluster_name: cluster.name };
    return { control_plane: control_plane.url, ...names, told: false };
  } catch {
    return null; // What is half removed, or cannot be read, has no session either.
  }
}

/**
 * Waits until there is a session, at most so long: the agent tries again at each look.
 * @throws AgentError INTERRUPTED
 */
export async function awaitFarewell(
  context: MachineContext,
  farewell: Farewell,
  waitMs: number,
): Promise<Farewell> {
  if (farewell.told || waitMs === 0) {
    return farewell;
  }
  const progress = await context.progress('Wait for the control plane');
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: waitMs };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    const phase = await phaseNow(context);
    progress.update(phase);
    return phase === 'connected' ? { found: true } : { soFar: undefined };
  });
  if (end.kind === 'found') {
    progress.done();
    return { ...farewell, told: true };
  }
  progress.fail();
  if (end.kind === 'aborted') {
    throw interrupted('while the control plane was waited for; nothing was removed');
  }
  return farewell;
}

async function phaseNow(context: MachineContext): Promise<string> {
  try {
    return (await askSession(context))?.phase ?? 'unknown';
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      return thrown.message;
    }
    throw thrown;
  }
}

/**
 * Stops the agent without that word: another server goes on with the session. It gives up the Lease by
 * which that one may take it.
 */
export async function handOver(
  context: Pick<MachineContext, 'exec' | 'files' | 'places'>,
): Promise<void> {
  if ((await context.files.stat(context.places.unitFile)) !== undefined) {
    await systemctl(context, 'stop', UNIT_NAME);
  }
}
