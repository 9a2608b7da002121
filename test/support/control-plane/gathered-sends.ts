import type { ServerWebSocket } from 'bun';

/** More characters than this do not wait for the end of the turn. */
const GATHERED_CHARACTERS_MAX = 64 * 1024;

export interface GatheredSends {
  /** In order, at the latest at the end of this turn of the event loop. */
  send(text: string): void;
  /** Sends what has been gathered: before what does not go through here. */
  flush(): void;
}

/**
 * The messages of one turn leave in one call of the system. The runtime does that only for those that
 * answer a message; the requests of many HTTP connections come in one turn too.
 */
export function gatheredSends(socket: ServerWebSocket<unknown>): GatheredSends {
  let gathered: string[] = [];
  let characters = 0;
  const flush = () => {
    if (gathered.length === 0) {
      return;
    }
    const texts = gathered;
    gathered = [];
    characters = 0;
    socket.cork(() => {
      for (const text of texts) {
        socket.send(text);
      }
    });
  };
  return {
    flush,
    send: (text) => {
      if (gathered.push(text) === 1) {
        setImmediate(flush);
      }
      characters += text.length;
      if (characters > GATHERED_CHARACTERS_MAX) {
        flush();
      }
    },
  };
}
