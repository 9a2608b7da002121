import { AgentError } from '../core/errors.ts';
import type { Files, Log } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';
import type { Listener } from './listener.ts';
import { answer, type Door, type ServerSources } from './routes.ts';

/** Bodies go to the proxy only, which streams them: the API server has the limits. */
const REQUEST_BODY_LIMIT_BYTES = Number.MAX_SAFE_INTEGER;
/** Seconds without traffic after which a connection is closed. */
const IDLE_TIMEOUT_SECONDS = 30;
/** The owner and the group may talk to the socket. */
const SOCKET_MODE = 0o660;

interface HttpServerDeps {
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
      port = tcp.port ?? options.port;
      await deps.files.remove(options.socketPath);
      const unix = serve(deps, signal, 'socket', { unix: options.socketPath });
      // The runtime makes it 0755.
      await deps.files.changeMode(options.socketPath, SOCKET_MODE);
      deps.log.info('listening', { port, socket: options.socketPath });
      return { done: stopWhenAsked([tcp, unix], signal) };
    },
  };
}

type Listen = { readonly hostname: string; readonly port: number } | { readonly unix: string };

function serve(deps: HttpServerDeps, leaving: AbortSignal, door: Door, listen: Listen) {
  const common = {
    development: false as const,
    maxRequestBodySize: REQUEST_BODY_LIMIT_BYTES,
    fetch: (request: Request, server: Bun.Server<undefined>) =>
      answer(deps.sources, door, request, () => server.timeout(request, 0), leaving),
    error: (thrown: Error) => {
      deps.log.error('a request failed', { error: thrown.message });
      const error = { code: 'INTERNAL', message: 'The agent could not answer' };
      return Response.json({ error }, { status: 500 });
    },
  };
  try {
    return 'unix' in listen
      ? Bun.serve({ ...common, ...listen })
      : Bun.serve({
          ...common,
          ...listen,
          // Outside of development mode Bun lets several processes share a port.
          reusePort: false,
          idleTimeout: IDLE_TIMEOUT_SECONDS,
        });
  } catch (cause) {
    const where = 'unix' in listen ? listen.unix : `127.0.0.1:${listen.port}`;
    throw new AgentError('PORT_IN_USE', `Cannot listen on ${where}: ${troubleOf(cause)}`, {
      hint: 'See who holds it: ss -ltnp; or choose another port: http.port in config.yaml',
      cause,
    });
  }
}

async function stopWhenAsked(
  servers: readonly { stop(): Promise<void> }[],
  signal: AbortSignal,
): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) {
      resolve();
    }
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.all(servers.map((server) => server.stop()));
}
