import { AgentError } from '../core/errors.ts';
import type { Files } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';
import { connectionServer } from '../http1/server/connections.ts';
import type { Listener } from './listener.ts';
import { type LoopbackDeps, loopbackDoor } from './loopback-door.ts';
import { plainDoor } from './plain-door.ts';
import type { ServerSources } from './sources.ts';

/** The owner and the group may talk to the socket. */
const SOCKET_MODE = 0o660;

interface HttpServerDeps extends LoopbackDeps {
  readonly files: Files;
  readonly sources: ServerSources;
}

interface HttpServerOptions {
  readonly port: number;
  readonly socketPath: string;
}

/** The agent's HTTP on 127.0.0.1 and on its Unix socket. @throws AgentError PORT_IN_USE at start */
export function httpServer(deps: HttpServerDeps, options: HttpServerOptions): Listener {
  let port = options.port;
  return {
    name: 'http-server',
    port: () => port,
    start: async (signal) => {
      const loopback = plainDoor(deps, 'loopback', signal);
      const tcp = loopbackDoor(deps, loopback, { port: options.port, setting: 'http.port' });
      port = tcp.port;
      await deps.files.remove(options.socketPath);
      const unix = listenOnSocket(deps, signal, options.socketPath);
      // The runtime creates it with mode 0755.
      await deps.files.changeMode(options.socketPath, SOCKET_MODE);
      deps.log.info('listening', { port, socket: options.socketPath });
      const done = Promise.all([tcp.serveUntil(signal), unix.serveUntil(signal)]);
      return { done: done.then(() => undefined) };
    },
  };
}

function listenOnSocket(deps: HttpServerDeps, leaving: AbortSignal, path: string) {
  try {
    return connectionServer(deps.clock, plainDoor(deps, 'socket', leaving), { unix: path });
  } catch (cause) {
    throw new AgentError('PORT_IN_USE', `Cannot listen on ${path}: ${troubleOf(cause)}`, {
      hint: 'See who holds it: ss -lxp',
      cause,
    });
  }
}
