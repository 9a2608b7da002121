/**
 * A door on 127.0.0.1 whose listening socket outlives the agent: while that is started anew, nobody is refused
 * (docs/decisions/0050-kept-sockets.md).
 */
import type { TLSOptions } from 'bun';
import { AgentError } from '../core/errors.ts';
import type { Clock, KeptSockets, Log } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';
import type { DoorDeps } from '../http1/server/connection.ts';
import { type ConnectionServer, connectionServer } from '../http1/server/connections.ts';

export interface LoopbackDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly kept: KeptSockets;
}

interface LoopbackOptions {
  readonly port: number;
  /** Where the port is chosen: `http.port`. */
  readonly setting: string;
  readonly tls?: TLSOptions;
}

interface LoopbackDoor {
  readonly port: number;
  /** Serves until then, leaves the socket to the next process, and resolves when the last connection is at its end. */
  serveUntil(signal: AbortSignal): Promise<void>;
}

/** @throws AgentError PORT_IN_USE */
export function loopbackDoor(
  deps: LoopbackDeps,
  door: DoorDeps,
  options: LoopbackOptions,
): LoopbackDoor {
  const taken = takeOver(deps, door, options);
  const server = taken ?? listen(deps, door, options);
  const port = taken === undefined ? server.port : options.port;
  const leave = () => deps.kept.keep(nameOf(port), server.descriptor);
  return { port, serveUntil: (signal) => server.serveUntil(signal, leave) };
}

function nameOf(port: number): string {
  return `tcp-${port}`;
}

/** Goes on with the socket that the process before has left. Where that fails, the port is soon free. */
function takeOver(
  { clock, log, kept }: LoopbackDeps,
  door: DoorDeps,
  { port, tls }: LoopbackOptions,
): ConnectionServer | undefined {
  const name = nameOf(port);
  const descriptor = kept.take(name);
  if (descriptor === undefined) {
    return undefined;
  }
  try {
    return connectionServer(clock, door, { fd: descriptor, ...(tls && { tls }) });
  } catch (thrown) {
    log.warn('cannot go on with a socket of the process before', {
      port,
      error: troubleOf(thrown),
    });
    return undefined;
  } finally {
    kept.forget(name); // If this process is killed, clients are refused at once, and not left to wait.
  }
}

function listen(
  { clock }: LoopbackDeps,
  door: DoorDeps,
  { port, setting, tls }: LoopbackOptions,
): ConnectionServer {
  const address = { hostname: '127.0.0.1', port, exclusive: true, ...(tls && { tls }) };
  try {
    return connectionServer(clock, door, address);
  } catch (cause) {
    throw new AgentError('PORT_IN_USE', `Cannot listen on 127.0.0.1:${port}: ${troubleOf(cause)}`, {
      hint: `See who holds it: ss -ltnp; or choose another port: ${setting} in config.yaml`,
      cause,
    });
  }
}
