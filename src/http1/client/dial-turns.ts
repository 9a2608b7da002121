/**
 * Who may dial, and who waits for it. When a server comes back, all its clients come at once; each TLS handshake takes a
 * processor for milliseconds on both sides, and of hundreds at the same time none is in time on a busy machine.
 */
import type { UpstreamAddress } from './address.ts';
import type { ConnectionOwner, UpstreamConnection } from './connection.ts';
import { connectUpstream, notInTime } from './dial.ts';

/** Connections to one address that are being made at the same time. */
const DIALS_MAX = 16;

export interface DialTurns {
  /**
   * Dials when it is its turn. What may be reused is offered to those who wait: where they may, they take it.
   * @throws AgentError with the code of the peer
   */
  connect(
    { address, mayReuse }: { readonly address: UpstreamAddress; readonly mayReuse: boolean },
    owner: ConnectionOwner,
    signal: AbortSignal,
  ): Promise<UpstreamConnection>;
  /** @returns whether somebody has waited for this connection, which is idle, and has it now */
  offer(address: UpstreamAddress, connection: UpstreamConnection): boolean;
}

interface Waiting {
  readonly mayReuse: boolean;
  readonly done: (connection: UpstreamConnection | undefined) => void;
}

interface Dials {
  count: number;
  /** The longest waiting first. As many as the pool lets there be. */
  readonly waiting: Waiting[];
}

export function dialTurns(): DialTurns {
  const dialled = new Map<UpstreamAddress, Dials>();

  const leave = (address: UpstreamAddress, dials: Dials) => {
    const next = dials.waiting.shift();
    if (next !== undefined) {
      next.done(undefined); // It has the place of the one that leaves.
      return;
    }
    dials.count -= 1;
    if (dials.count === 0) {
      dialled.delete(address);
    }
  };

  return {
    connect: async ({ address, mayReuse }, owner, signal) => {
      const dials = dialled.get(address) ?? { count: 0, waiting: [] };
      dialled.set(address, dials);
      if (dials.count >= DIALS_MAX) {
        const offered = await turnOf(address, dials, mayReuse, signal);
        if (offered !== undefined) {
          return offered;
        }
      } else {
        dials.count += 1;
      }
      try {
        return await connectUpstream(address, owner, signal);
      } finally {
        leave(address, dials);
      }
    },
    offer: (address, connection) => {
      const waiting = dialled.get(address)?.waiting ?? [];
      const at = waiting.findIndex(({ mayReuse }) => mayReuse);
      const [taker] = at === -1 ? [] : waiting.splice(at, 1);
      taker?.done(connection);
      return taker !== undefined;
    },
  };
}

/** @returns a connection that was offered before it was its turn; undefined when it is */
function turnOf(
  address: UpstreamAddress,
  { waiting }: Dials,
  mayReuse: boolean,
  signal: AbortSignal,
): Promise<UpstreamConnection | undefined> {
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      waiting.splice(waiting.indexOf(entry), 1);
      reject(notInTime(address));
    };
    const entry: Waiting = {
      mayReuse,
      done: (connection) => {
        signal.removeEventListener('abort', giveUp);
        resolve(connection);
      },
    };
    waiting.push(entry);
    signal.addEventListener('abort', giveUp, { once: true });
  });
}
