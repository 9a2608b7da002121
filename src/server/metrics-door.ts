/**
 * The door for scrapers from elsewhere: TLS, GET /metrics and nothing else, and only for those who show the
 * token or a certificate. That it cannot listen never ends the agent. Its listening socket outlives the agent.
 */
import { toAgentError } from '../core/errors.ts';
import type { Clock, Files, KeptSockets, Log, Random } from '../core/ports.ts';
import { hostAndPort } from '../core/text/host-and-port.ts';
import { type HeaderList, singleHeader } from '../http1/head.ts';
import { headRoom } from '../http1/head-room.ts';
import type { DoorDeps, Refusal } from '../http1/server/connection.ts';
import { type ConnectionServer, connectionServer } from '../http1/server/connections.ts';
import { apiAnswers } from './api/answers.ts';
import { PROBLEM_TYPE, problemBody, type Refused } from './api/problem.ts';
import { requestIds } from './api/request-id.ts';
import { sendAnswer } from './api/send-answer.ts';
import type { ApiSources } from './api/sources.ts';
import { takeOver } from './left-socket.ts';
import type { Listener } from './listener.ts';
import { keptAuth, type LocalAuth } from './local-auth.ts';
import { localCertificate } from './local-certificate.ts';

/** Scrapers are few: a handful of Prometheus servers, each with one connection. */
const CONNECTIONS_MAX = 64;
/** Until the next try, where the address is not there yet or the port is taken, ms. */
const RETRY_MS = 30_000;

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly log: Log;
  readonly kept: KeptSockets;
  readonly sources: ApiSources;
}

export interface MetricsDoorOptions {
  readonly address: string;
  readonly port: number;
  /** Of certificate and key; made where there is none. */
  readonly certificatePath: string;
  /** Of the token; made where there is none. */
  readonly tokenPath: string;
  /** PEM: who has a certificate of these needs no token, and nobody else is answered. */
  readonly clientCaPath: string | undefined;
}

export function metricsDoor(deps: Deps, options: MetricsDoorOptions): Listener {
  let port = options.port;
  const serve = async (first: ConnectionServer | undefined, signal: AbortSignal) => {
    let server = first;
    while (server === undefined && (await deps.clock.sleep(RETRY_MS, signal))) {
      server = await listen(deps, options);
    }
    if (server !== undefined) {
      const { descriptor } = server;
      port = server.port || options.port;
      deps.log.info('metrics are answered', { address: options.address, port });
      await server.serveUntil(signal, () =>
        deps.kept.keep(nameOf(options.address, port), descriptor),
      );
    }
  };
  return {
    name: 'metrics-door',
    port: () => port,
    // Once all have started, a socket that nobody has taken is closed.
    start: async (signal) => ({ done: serve(await listen(deps, options), signal) }),
  };
}

/** A colon separates the names of descriptors (sd_listen_fds(3)). */
function nameOf(address: string, port: number): string {
  return `metrics-${address.replaceAll(':', '.')}-${port}`;
}

async function listen(
  deps: Deps,
  options: MetricsDoorOptions,
): Promise<ConnectionServer | undefined> {
  const { address, port, clientCaPath } = options;
  try {
    const { certificate, key } = await localCertificate(deps, options.certificatePath, address);
    const auth =
      clientCaPath === undefined ? await keptAuth(deps, options.tokenPath) : ACCEPTED_BY_TLS;
    const clients = clientCaPath === undefined ? {} : await clientsOf(deps.files, clientCaPath);
    const door = doorDeps(deps, auth, options.tokenPath);
    const tls = { cert: certificate, key, ...clients };
    const max = { connectionsMax: CONNECTIONS_MAX };
    return (
      takeOver(deps, { name: nameOf(address, port), port }, (fd) =>
        connectionServer(deps.clock, door, { fd, tls }, max),
      ) ??
      connectionServer(deps.clock, door, { hostname: address, port, exclusive: true, tls }, max)
    );
  } catch (thrown) {
    const error = toAgentError(thrown).message;
    const listen = hostAndPort(address, port);
    deps.log.warn('cannot answer scrapers yet (metrics.listen)', { listen, error });
    return undefined;
  }
}

/** Without a certificate of these there is no connection. */
const ACCEPTED_BY_TLS: LocalAuth = { accepts: () => true };

async function clientsOf(files: Files, path: string) {
  const ca = await files.readText(path);
  if (ca === undefined) {
    throw new Error(`There is no ${path} (metrics.client_ca_file)`);
  }
  return { ca, requestCert: true, rejectUnauthorized: true } as const;
}

function doorDeps(deps: Deps, auth: LocalAuth, tokenFile: string): DoorDeps {
  const requestId = requestIds(deps.clock);
  const answer = apiAnswers({ ...deps, tokenFile, requestId });
  const refuse = (refused: Refused, headers: HeaderList): Refusal => {
    const id = requestId(headers);
    const challenge = refused.status === 401 ? [['WWW-Authenticate', 'Bearer'] as const] : [];
    return {
      status: refused.status,
      headers: [['Content-Type', PROBLEM_TYPE], ['X-Request-Id', id], ...challenge],
      body: JSON.stringify(problemBody(refused, id)),
    };
  };
  return {
    headRoom: headRoom(),
    malformed: (status, message) => refuse({ status, code: 'PROXY_REQUEST_INVALID', message }, []),
    admit: ({ target, headers }) => {
      if (!auth.accepts(singleHeader(headers, 'authorization'))) {
        const message = 'The token for scrapers is needed';
        const hint = `Root finds it on that machine, in ${tokenFile}`;
        return refuse({ status: 401, code: 'LOCAL_TOKEN_REJECTED', message, hint }, headers);
      }
      return target === '/metrics'
        ? undefined
        : refuse({ status: 404, code: 'NOT_FOUND', message: 'Only /metrics is here' }, headers);
    },
    begin: ({ method, target, headers }, sink) =>
      sendAnswer(answer, { method, target, headers, isTrusted: false }, sink),
  };
}
