/** Connections to the API server and to applications, kept for the next request. */

import { msUntilBeat } from '../../core/beat.ts';
import { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { within } from '../../core/waiting.ts';
import { headRoom } from '../head-room.ts';
import type { UpstreamAddress } from './address.ts';
import type { ConnectionOwner, UpstreamConnection } from './connection.ts';
import { dialTurns } from './dial-turns.ts';

/** Connections at once: every watch and every shell has its own. */
const CONNECTIONS_MAX = 2_500;
/** Idle ones that are kept. */
const IDLE_MAX = 64;
/** An idle one is used again for this long; the API server closes it after 90 s. */
const IDLE_MS_MAX = 60_000;
/** How often connections that wait for an answer are checked, as long as there are connections. */
const SILENCE_CHECK_MS = 5_000;
/** Time for the turn to dial, TCP and TLS. */
const CONNECT_TIMEOUT_MS = 10_000;

export interface UpstreamPool {
  /**
   * An idle connection at once, or a new one.
   * @throws AgentError KUBERNETES_API, TOO_MANY_REQUESTS
   */
  acquire(address: UpstreamAddress): UpstreamConnection | Promise<UpstreamConnection>;
  /**
   * A connection that has carried nothing yet: for what must not be lost, and after an idle one
   * turned out to be dead.
   */
  fresh(address: UpstreamAddress): Promise<UpstreamConnection>;
  connections(): number;
  close(): void;
}

interface Idle {
  readonly connection: UpstreamConnection;
  readonly address: UpstreamAddress;
  readonly since: number;
}

export function upstreamPool(deps: { readonly clock: Clock }): UpstreamPool {
  const { clock } = deps;
  const open = new Map<UpstreamConnection, UpstreamAddress>();
  const turns = dialTurns();
  /** Those who wait for their turn to dial, too. */
  let connecting = 0;
  /** The last one used is used first: the others grow old and go. */
  let idle: Idle[] = [];

  let isChecking = false;
  const checkSilence = async () => {
    isChecking = true;
    while (open.size > 0) {
      await clock.sleep(msUntilBeat(clock, SILENCE_CHECK_MS));
      for (const connection of [...open.keys()]) {
        connection.checkSilence();
      }
    }
    isChecking = false;
  };

  const owner: ConnectionOwner = {
    now: () => clock.monotonic(),
    headRoom: headRoom(),
    idle: (connection) => {
      const address = open.get(connection);
      if (address === undefined) {
        connection.close();
        return;
      }
      if (turns.offer(address, connection)) {
        return;
      }
      idle.push({ connection, address, since: clock.monotonic() });
      if (idle.length > IDLE_MAX) {
        idle[0]?.connection.close();
      }
    },
    closed: (connection) => {
      open.delete(connection);
      idle = idle.filter((each) => each.connection !== connection);
    },
  };

  const connect = async (
    address: UpstreamAddress,
    mayReuse: boolean,
  ): Promise<UpstreamConnection> => {
    if (open.size + connecting >= CONNECTIONS_MAX) {
      throw tooManyConnections();
    }
    connecting += 1;
    try {
      const connection = await within(clock, CONNECT_TIMEOUT_MS, undefined, (signal) =>
        turns.connect({ address, mayReuse }, owner, signal),
      );
      open.set(connection, address);
      if (!isChecking) {
        void checkSilence();
      }
      return connection;
    } finally {
      connecting -= 1;
    }
  };

  return {
    fresh: (address) => connect(address, false),
    acquire: (address) => {
      const oldest = idle[0];
      if (oldest !== undefined && clock.monotonic() - oldest.since >= IDLE_MS_MAX) {
        oldest.connection.close();
      }
      const at = idle.findLastIndex((each) => each.address === address);
      const [found] = at === -1 ? [] : idle.splice(at, 1);
      if (found === undefined) {
        return connect(address, true);
      }
      if (clock.monotonic() - found.since >= IDLE_MS_MAX) {
        found.connection.close();
        return connect(address, true);
      }
      return found.connection;
    },
    connections: () => open.size,
    close: () => {
      for (const connection of [...open.keys()]) {
        connection.close();
      }
    },
  };
}

function tooManyConnections(): AgentError {
  return new AgentError(
    'TOO_MANY_REQUESTS',
    'The agent has too many connections to Kubernetes and to applications',
    {
      hint: 'End some watches, shells or port-forwards, then try again',
      details: { connections_max: CONNECTIONS_MAX },
    },
  );
}
