/**
 * The door of kubectl to the proxy, on 127.0.0.1 over TLS: kubectl sends no token over plain HTTP.
 * What Bun.serve does not keep passes untouched here: the raw path, repeated headers, trailers, and
 * the bytes of an upgrade (exec, attach, port-forward).
 */
import type { Socket } from 'bun';
import { AgentError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';
import { headRoom } from '../protocol/head-room.ts';
import { type RequestHead, singleHeader } from '../protocol/http-head.ts';
import { type ForwardDeps, forward } from '../proxy/forward.ts';
import { Connection, type ConnectionDeps, type Refusal } from './http1/connection.ts';
import type { Listener } from './listener.ts';
import type { LocalAuth } from './local-auth.ts';
import { foreignReason } from './own-host.ts';
import type { CertificateAndKey } from './self-signed-certificate.ts';

/** How often connections are looked at for what takes too long, ms. */
const CHECK_INTERVAL_MS = 2_000;
/** At the stop: how long requests and streams under way may go on, ms. */
const DRAIN_MS = 5_000;
/** Connections at once. */
const CONNECTIONS_MAX = 3_000;

const PREFIX = '/proxy';
/** Of the caller's program, for fair turns: characters of its name. */
const CLIENT_NAME_LENGTH_MAX = 64;

interface TlsListenerDeps {
  readonly clock: Clock;
  readonly auth: LocalAuth;
  readonly proxy: ForwardDeps;
}

interface TlsListenerOptions {
  readonly port: number;
  readonly certificate: CertificateAndKey;
}

/** @throws AgentError PORT_IN_USE at start */
export function tlsListener(deps: TlsListenerDeps, options: TlsListenerOptions): Listener {
  let port = options.port;
  return {
    name: 'tls-listener',
    port: () => port,
    start: async (signal) => {
      const connections = new Set<Connection>();
      const idle = signalOfIdleness(connections);
      const server = listen(connectionDeps(deps, signal, idle.check), connections, options);
      port = server.port;
      return { done: serveUntilAsked(deps.clock, server, connections, idle, signal) };
    },
  };
}

/** How requests of the door are admitted, begun and refused. */
export function connectionDeps(
  deps: TlsListenerDeps,
  leaving: AbortSignal,
  idle: () => void,
): ConnectionDeps {
  return {
    idle,
    now: () => deps.clock.monotonic(),
    headRoom: headRoom(),
    admit: (head) => refusalOf(deps, head),
    malformed: (status, message) => refusal(status, 'BadRequest', 'PROXY_REQUEST_INVALID', message),
    begin: (head, sink) => {
      const { method, target, headers } = head;
      const program = (singleHeader(headers, 'user-agent') ?? '').split('/')[0] ?? '';
      const client = `tls:${program.slice(0, CLIENT_NAME_LENGTH_MAX)}`;
      return forward(
        deps.proxy,
        { method, target: targetOfApi(target), headers, client, leaving },
        sink,
      );
    },
  };
}

function listen(
  deps: ConnectionDeps,
  connections: Set<Connection>,
  { port, certificate }: TlsListenerOptions,
) {
  try {
    return Bun.listen<Connection>({
      hostname: '127.0.0.1',
      port,
      exclusive: true,
      tls: { cert: certificate.certificate, key: certificate.key },
      socket: {
        open: (socket: Socket<Connection>) => {
          socket.data = new Connection(deps, socket);
          connections.add(socket.data);
          socket.setNoDelay(true);
          if (connections.size > CONNECTIONS_MAX) {
            socket.terminate();
          }
        },
        // Without it `open` comes only behind TLS, and nobody would count or end those without any.
        handshake: () => undefined,
        data: (socket, bytes) => socket.data.received(bytes),
        drain: (socket) => socket.data.drained(),
        close: (socket) => {
          connections.delete(socket.data);
          socket.data.closed();
        },
        error: (socket) => socket.data.destroy(),
      },
    });
  } catch (cause) {
    throw new AgentError('PORT_IN_USE', `Cannot listen on 127.0.0.1:${port}: ${troubleOf(cause)}`, {
      hint: 'See who holds it: ss -ltnp; or choose another: http.tls_port in config.yaml',
      cause,
    });
  }
}

interface Idleness {
  /** To be called whenever a connection may have become idle, or is gone. */
  check(): void;
  whenIdle(): Promise<void>;
}

function signalOfIdleness(connections: ReadonlySet<Connection>): Idleness {
  const isIdle = () => ![...connections].some((each) => each.isBusy);
  let told: (() => void) | undefined;
  return {
    check: () => {
      if (told !== undefined && isIdle()) {
        told();
      }
    },
    whenIdle: () =>
      new Promise((resolve) => {
        told = resolve;
        if (isIdle()) {
          resolve();
        }
      }),
  };
}

async function serveUntilAsked(
  clock: Clock,
  server: { stop(): void },
  connections: ReadonlySet<Connection>,
  idle: Idleness,
  signal: AbortSignal,
): Promise<void> {
  while (await clock.sleep(CHECK_INTERVAL_MS, signal)) {
    for (const connection of [...connections]) {
      connection.checkTime();
    }
  }
  server.stop();
  for (const connection of [...connections]) {
    connection.leave();
  }
  const inTime = new AbortController();
  await Promise.race([idle.whenIdle(), clock.sleep(DRAIN_MS, inTime.signal)]);
  inTime.abort();
  for (const connection of [...connections]) {
    if (connection.isBusy) {
      connection.destroy(); // The others have been ended in order.
    }
  }
}

/** What must be true before anything of a request is looked at. */
function refusalOf(deps: TlsListenerDeps, head: RequestHead): Refusal | undefined {
  const host = singleHeader(head.headers, 'host');
  const origin = singleHeader(head.headers, 'origin');
  const hasToken = deps.auth.accepts(singleHeader(head.headers, 'authorization'));
  const foreign = foreignReason({ host, origin, hasToken }, 'https');
  if (foreign !== undefined) {
    return refusal(403, 'Forbidden', foreign.code, foreign.message);
  }
  if (!hasToken) {
    const message = 'A local token is needed: pipeops-agent kubeconfig --local';
    return refusal(401, 'Unauthorized', 'LOCAL_TOKEN_REJECTED', message);
  }
  return undefined;
}

/** The API stands below /proxy, as at the plain door, and at the root: `kubectl proxy` knows no other place. */
function targetOfApi(target: string): string {
  return target.startsWith(`${PREFIX}/`) ? target.slice(PREFIX.length) : target;
}

/** A `Status` object (kubernetes.io, API conventions, "Response Status Kind"). */
function refusal(status: number, reason: string, code: string, message: string): Refusal {
  const body = JSON.stringify({
    ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' },
    message: `pipeops-agent: ${message}`,
    reason,
    details: { causes: [{ reason: code, message }] },
    code: status,
  });
  return { status, body };
}
