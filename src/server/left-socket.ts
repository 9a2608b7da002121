/**
 * A listening socket that outlives the agent: while that is started anew, nobody is refused
 * (docs/decisions/0050-kept-sockets.md).
 */
import type { KeptSockets, Log } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';
import type { ConnectionServer } from '../http1/server/connections.ts';

/**
 * Goes on with the socket that the process before has left. Where that fails, the port is free.
 * @returns undefined where none is left, and where it failed
 */
export function takeOver(
  { log, kept }: { readonly log: Log; readonly kept: KeptSockets },
  { name, port }: { readonly name: string; readonly port: number },
  open: (descriptor: number) => ConnectionServer,
): ConnectionServer | undefined {
  const descriptor = kept.take(name);
  if (descriptor === undefined) {
    return undefined;
  }
  try {
    return open(descriptor);
  } catch (thrown) {
    kept.drop(descriptor); // Nobody would accept on it, and nobody else could listen there.
    log.warn('cannot go on with a socket of the process before', {
      port,
      error: troubleOf(thrown),
    });
    return undefined;
  } finally {
    kept.forget(name); // If this process is killed, clients are refused at once, and not left to wait.
  }
}
