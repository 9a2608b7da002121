import type { ClusterMemory } from '../commands/memory/cluster.ts';
import { msUntilBeat } from '../core/beat.ts';
import type { Clock } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { together } from '../core/together.ts';

/** Between two looks whether there are other servers. */
const LOOK_INTERVAL_MS = 2_000;

interface Deps {
  readonly clock: Clock;
  readonly memory: ClusterMemory;
  /** No other server may take the session. */
  readonly isAlone: () => boolean;
  /** Names of the nodes that are servers; undefined while they are not known. */
  readonly servers: () => readonly string[] | undefined;
}

/**
 * The memory of commands of the server that has the session. Stands before all that acts on commands: it has
 * started when the journal has what another server may have done.
 */
export function commandMemory(deps: Deps): Service {
  const { memory, isAlone } = deps;
  return {
    name: 'command-memory',
    start: async (signal) => {
      if (!isAlone()) {
        await memory.share('others', signal);
      }
      const follow = (either: AbortSignal) => followServers(deps, either);
      return { done: together([memory.keepUp, follow], signal) };
    },
  };
}

/**
 * The servers, for the election: only when the cluster knows all that this server alone knew may another one
 * be let to the session.
 * @param deps.isShared whether it does
 */
export function serversToTell(
  deps: Pick<Deps, 'isAlone' | 'servers'> & { readonly isShared: () => boolean },
  own: string,
): Deps['servers'] {
  return () => (deps.isAlone() && !deps.isShared() ? [own] : deps.servers());
}

async function followServers(deps: Deps, signal: AbortSignal): Promise<void> {
  const { clock, memory, isAlone, servers } = deps;
  while (!signal.aborted) {
    const count = servers()?.length;
    if (!memory.isShared() && (count ?? 0) > 1) {
      await memory.share('alone', signal);
    } else if (memory.isShared() && isAlone() && count === 1) {
      memory.keepAlone();
    }
    await clock.sleep(msUntilBeat(clock, LOOK_INTERVAL_MS), signal);
  }
}
