/** One server at a time restarts its k3s: the one that holds the Lease `pipeops-system/pipeops-agent-restart`. */
import { toAgentError } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { pollUntil, withDeadline } from '../../core/waiting.ts';
import { RESTART_LEASE } from '../account/rbac.ts';
import type { KubernetesClient } from '../api/client.ts';
import { isRejectedWith } from '../api/rejection.ts';
import type { NodeState } from '../nodes/states.ts';
import { type LeaseRecord, readLease, writeLease } from './record.ts';

/**
 * A turn that nobody has given back for so long is over. Much longer than a restart, and than clocks of machines are
 * apart, which are compared here.
 */
export const TURN_MS_MAX = 3_600_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** How long the own API may take to answer again. */
const BACK_LIMIT_MS = 600_000;
const BACK_POLL_MS = 5_000;

interface Deps {
  readonly clock: Clock;
  readonly log: Log;
  readonly client: Pick<KubernetesClient, 'find' | 'replace'>;
  /** All nodes; undefined while they are not known. */
  readonly nodes: () => readonly NodeState[] | undefined;
}

export interface RestartTurn {
  /**
   * Does the work if no other server does such work, and all others are ready. The turn is kept when the work
   * throws: who knows how this server is.
   * @returns why it is not its turn; undefined when the work is done
   * @throws what the work throws; AgentError NOT_FOUND, KUBERNETES_API, TIMEOUT
   */
  run(work: () => Promise<void>, signal: AbortSignal): Promise<string | undefined>;
  /** Ends a turn of an earlier start, where there is one. @throws AgentError as `run` */
  giveBack(signal: AbortSignal): Promise<void>;
}

/** @param node of this server */
export function restartTurn(deps: Deps, node: string): RestartTurn {
  const giveBack = async (signal: AbortSignal) => {
    const record = await request(deps, signal, read(deps));
    if (record.holder?.node === node) {
      await request(deps, signal, write(deps, record, undefined));
    }
  };
  return {
    giveBack,
    run: async (work, signal) => {
      const others = otherServers(deps.nodes(), node);
      if (others === undefined) {
        return 'it is not known how the other servers are';
      }
      if (others.length === 0) {
        await work();
        return undefined;
      }
      const away = others.find(({ notReady }) => notReady !== undefined);
      if (away !== undefined) {
        return `server "${away.name}" is not ready`;
      }
      const obstacle = await take(deps, node, signal);
      if (obstacle !== undefined) {
        return obstacle;
      }
      await work();
      await whenBack(deps, signal, giveBack);
      return undefined;
    },
  };
}

function otherServers(
  nodes: readonly NodeState[] | undefined,
  node: string,
): readonly NodeState[] | undefined {
  return nodes?.some(({ name }) => name === node) === true
    ? nodes.filter(({ name, isServer }) => isServer && name !== node)
    : undefined;
}

/** @returns who has the turn */
async function take(deps: Deps, node: string, signal: AbortSignal): Promise<string | undefined> {
  const record = await request(deps, signal, read(deps));
  const { holder } = record;
  if (holder !== undefined && holder.node !== node && ageMs(deps, record) < TURN_MS_MAX) {
    return `server "${holder.node}" restarts its k3s`;
  }
  try {
    await request(deps, signal, write(deps, record, node));
    return undefined;
  } catch (thrown) {
    if (isRejectedWith(409, thrown)) {
      return 'another server was faster';
    }
    throw thrown;
  }
}

function ageMs({ clock }: Deps, { object }: LeaseRecord): number {
  const since = Date.parse(object.spec?.renewTime ?? '');
  return Number.isNaN(since) ? TURN_MS_MAX : clock.now().getTime() - since;
}

/** The own API needs a while until it answers again. */
async function whenBack(
  { clock, log }: Deps,
  signal: AbortSignal,
  giveBack: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const pace = { everyMs: BACK_POLL_MS, limitMs: BACK_LIMIT_MS };
  const end = await pollUntil(clock, pace, signal, async () => {
    try {
      await giveBack(signal);
      return { found: true };
    } catch (thrown) {
      return { soFar: toAgentError(thrown).message };
    }
  });
  if (end.kind === 'late') {
    log.warn('cannot give back the turn to restart k3s; the other servers wait for its end', {
      error: end.soFar,
    });
  }
}

const read = (deps: Deps) => (signal: AbortSignal) => readLease(deps.client, RESTART_LEASE, signal);

const write = (deps: Deps, before: LeaseRecord, node: string | undefined) => {
  const holder = node === undefined ? undefined : { node, startId: 'restart' };
  const next = { holder, durationMs: TURN_MS_MAX };
  return (signal: AbortSignal) => writeLease(deps.client, before, next, deps.clock.now(), signal);
};

function request<T>(
  { clock }: Deps,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = { what: 'The Lease of the restart', ms: REQUEST_TIMEOUT_MS };
  return withDeadline(clock, limit, signal, work);
}
