/** How much of the API server one client may use, so that no client starves the others. */
import { AgentError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';

/** Short requests at once, of all clients together. */
const RUNNING_MAX = 256;
/** Short requests at once, of one client. */
const RUNNING_PER_CLIENT_MAX = 128;
/** Waiting requests, of all clients together. */
const WAITING_MAX = 1_024;
/** Waiting requests, of one client. */
const WAITING_PER_CLIENT_MAX = 256;
/** Longest wait for a turn, ms. */
const WAIT_MS_MAX = 15_000;
/** Watches, followed logs and upgraded connections at once, of all clients together. */
const STREAMS_MAX = 2_000;
const STREAMS_PER_CLIENT_MAX = 1_500;
/** Sent to clients that are turned away. */
export const RETRY_AFTER_SECONDS = 1;

/** short: ends by itself soon. stream: lasts until somebody ends it. */
export type RequestKind = 'short' | 'stream';

/** Gives the place back; call it once. */
export type Release = () => void;

export interface Turns {
  /**
   * A place when one is free. A stream never waits.
   * @throws AgentError TOO_MANY_REQUESTS for a stream
   */
  tryEnter(client: string, kind: RequestKind): Release | undefined;
  /**
   * A place for a short request when it is this client's turn.
   * @throws AgentError TOO_MANY_REQUESTS when too many wait, when no turn comes, and at the signal
   */
  waitForTurn(client: string, signal: AbortSignal): Promise<Release>;
  counts(): { readonly running: number; readonly waiting: number; readonly streams: number };
}

interface Client {
  running: number;
  streams: number;
  readonly waiting: Waiting[];
}

interface Waiting {
  readonly admit: () => void;
}

export function fairTurns(deps: { readonly clock: Clock }): Turns {
  /** In the order of their turns: a client that was served goes to the end. */
  const clients = new Map<string, Client>();
  let running = 0;
  let waiting = 0;
  let streams = 0;

  const clientOf = (name: string): Client => {
    const known = clients.get(name);
    if (known !== undefined) {
      return known;
    }
    const made: Client = { running: 0, streams: 0, waiting: [] };
    clients.set(name, made);
    return made;
  };
  const forgetIfGone = (name: string, client: Client) => {
    if (client.running === 0 && client.streams === 0 && client.waiting.length === 0) {
      clients.delete(name);
    }
  };
  const serveNext = () => {
    for (const [name, client] of clients) {
      if (waiting === 0 || running >= RUNNING_MAX) {
        return;
      }
      if (client.waiting.length > 0 && client.running < RUNNING_PER_CLIENT_MAX) {
        clients.delete(name);
        clients.set(name, client);
        client.waiting.shift()?.admit();
      }
    }
  };
  const take = (name: string, client: Client): Release => {
    client.running += 1;
    running += 1;
    return () => {
      client.running -= 1;
      running -= 1;
      serveNext();
      forgetIfGone(name, client);
    };
  };
  const takeStream = (name: string, client: Client): Release => {
    if (streams >= STREAMS_MAX || client.streams >= STREAMS_PER_CLIENT_MAX) {
      forgetIfGone(name, client);
      throw tooMany('There are too many watches, shells and port-forwards at once');
    }
    client.streams += 1;
    streams += 1;
    return () => {
      client.streams -= 1;
      streams -= 1;
      forgetIfGone(name, client);
    };
  };

  const waitForTurn = async (name: string, signal: AbortSignal): Promise<Release> => {
    const client = clientOf(name);
    if (waiting >= WAITING_MAX || client.waiting.length >= WAITING_PER_CLIENT_MAX) {
      throw tooMany('There are too many requests at once');
    }
    const turn = new AbortController();
    let release: Release | undefined;
    const entry: Waiting = {
      admit: () => {
        release = take(name, client);
        turn.abort();
      },
    };
    client.waiting.push(entry);
    waiting += 1;
    try {
      await deps.clock.sleep(WAIT_MS_MAX, AbortSignal.any([turn.signal, signal]));
    } finally {
      waiting -= 1;
    }
    if (release !== undefined) {
      return release;
    }
    client.waiting.splice(client.waiting.indexOf(entry), 1);
    forgetIfGone(name, client);
    throw tooMany(`No turn came in ${WAIT_MS_MAX} ms`);
  };

  return {
    tryEnter: (name, kind) => {
      const client = clientOf(name);
      if (kind === 'stream') {
        return takeStream(name, client);
      }
      const free = running < RUNNING_MAX && client.running < RUNNING_PER_CLIENT_MAX;
      return free && client.waiting.length === 0 ? take(name, client) : undefined;
    },
    waitForTurn,
    counts: () => ({ running, waiting, streams }),
  };
}

function tooMany(message: string): AgentError {
  return new AgentError('TOO_MANY_REQUESTS', message, {
    hint: 'Send fewer at once, and try again after the time in Retry-After',
    details: { retry_after_seconds: RETRY_AFTER_SECONDS },
  });
}
