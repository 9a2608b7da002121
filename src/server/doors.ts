import { AgentError } from '../core/errors.ts';
import type { Clock, Files, Log } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';
import { connectionServer } from '../http1/server/connections.ts';
import type { Listener } from './listener.ts';
import { plainDoor } from './plain-door.ts';
import type { Door, ServerSources } from './sources.ts';

/** The owner and the group may talk to the socket. */
const SOCKET_MODE = 0o660;

interface HttpServerDeps {
  readonly clock: Clock;
  readonly log: Log;
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
      const tcp = serve(deps, signal, 'loopback', { hostname: '127.0.0.1', port: options.port });
      port = tcp.port;
      await deps.files.remove(options.socketPath);
      const unix = serve(deps, signal, 'socket', { unix: options.socketPath });
      // The runtime creates it with mode 0755.
      await deps.files.changeMode(options.socketPath, SOCKET_MODE);
      deps.log.info('listening', { port, socket: options.socketPath });
      const done = Promise.all([tcp.serveUntil(signal), unix.serveUntil(signal)]);
      return { done: done.then(() => undefined) };
    },
  };
}

type Listen = { readonly hostname: string; readonly port: number } | { readonly unix: string };

function serve(deps: HttpServerDeps, leaving: AbortSignal, door: Door, listen: Listen) {
  try {
    return connectionServer(
      deps.clock,
      plainDoor(deps, door, leaving),
      'unix' in listen ? listen : { ...listen, exclusive: true },
    );
  } catch (cause) {
    const where = 'unix' in listen ? listen.unix : `127.0.0.1:${listen.port}`;
    throw new AgentError('PORT_IN_USE', `Cannot listen on ${where}: ${troubleOf(cause)}`, {
      hint: 'See who holds it: ss -ltnp; or choose another port: http.port in config.yaml',
      cause,
    });
  }
}
