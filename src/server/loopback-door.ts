/** A door on 127.0.0.1, whose listening socket outlives the agent. */
import type { TLSOptions } from 'bun';
import { AgentError } from '../core/errors.ts';
import type { Clock, KeptSockets, Log } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';
import type { DoorDeps } from '../http1/server/connection.ts';
import { type ConnectionServer, connectionServer } from '../http1/server/connections.ts';
import { takeOver } from './left-socket.ts';

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
  const { tls } = options;
  const left = { name: nameOf(options.port), port: options.port };
  const taken = takeOver(deps, left, (fd) =>
    connectionServer(deps.clock, door, { fd, ...(tls && { tls }) }),
  );
  const server = taken ?? listen(deps, door, options);
  const port = taken === undefined ? server.port : options.port;
  const leave = () => deps.kept.keep(nameOf(port), server.descriptor);
  return { port, serveUntil: (signal) => server.serveUntil(signal, leave) };
}

function nameOf(port: number): string {
  return `tcp-${port}`;
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
