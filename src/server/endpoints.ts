import type { ExchangeSink } from '../http1/client/exchange.ts';
import type { ProxyCall, ProxyRequest } from '../http1/server/call.ts';
import type {
  DetailedHealth,
  HealthAnswer,
  LocalAccess,
  PolicyAnswer,
  ReadyAnswer,
  SessionAnswer,
  SettingsAnswer,
} from '../protocol/local-api.ts';
import type { LocalAuth } from './local-auth.ts';

/** What the endpoints show; every value is read when it is asked for. */
export interface ServerSources {
  readonly version: { readonly version: string; readonly commit: string };
  readonly ready: (signal: AbortSignal) => Promise<ReadyAnswer>;
  readonly detailed: (signal: AbortSignal) => Promise<DetailedHealth>;
  readonly health: (signal: AbortSignal) => Promise<HealthAnswer>;
  /** Reads the policy file again, and puts it in force. */
  readonly policy: () => Promise<PolicyAnswer>;
  /** Reads the session's files again, and tries at once. */
  readonly session: () => Promise<SessionAnswer>;
  /** The settings that the daemon was started with. None of them is a secret. */
  readonly settings: () => SettingsAnswer;
  /** Prometheus text. */
  readonly metrics: () => string;
  /** Absent on a worker: it has no credentials for the Kubernetes API. */
  readonly proxy?: ProxySource;
}

export interface ProxySource {
  readonly auth: LocalAuth;
  /** How kubectl gets through the TLS listener. */
  readonly access: () => LocalAccess;
  /**
   * Carries a request to the Kubernetes API, and its answer into the sink.
   */
  readonly forward: (request: ProxyRequest, sink: ExchangeSink) => ProxyCall;
}

/** The socket is for root and the group of the agent; loopback is open to every user here. */
export type Door = 'loopback' | 'socket';

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Endpoint = (sources: ServerSources, signal: AbortSignal) => Promise<Response> | Response;

const OPEN_ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  /** The process is alive; it says nothing about anything else. */
  '/health': () => Response.json({ status: 'ok' }),
  '/ready': async (sources, signal) => {
    const answer = await sources.ready(signal);
    return Response.json(answer, { status: answer.ready ? 200 : 503 });
  },
  '/version': (sources) => Response.json(sources.version),
  '/metrics': (sources) =>
    new Response(sources.metrics(), { headers: { 'content-type': METRICS_TYPE } }),
};

const SOCKET_ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  '/api/health': async (sources, signal) => Response.json(await sources.health(signal)),
  '/api/health/detailed': async (sources, signal) => Response.json(await sources.detailed(signal)),
  '/api/policy': async (sources) => Response.json(await sources.policy()),
  '/api/session': async (sources) => Response.json(await sources.session()),
  '/api/settings': (sources) => Response.json(sources.settings()),
  '/api/k8s/local-access': (sources) =>
    sources.proxy === undefined
      ? problem(404, 'NOT_A_SERVER', 'A worker has no way to the Kubernetes API')
      : Response.json(sources.proxy.access()),
};

/** The endpoint at a path of this door; undefined where there is none. */
function endpointOf(door: Door, path: string): Endpoint | undefined {
  const endpoints = door === 'socket' ? { ...OPEN_ENDPOINTS, ...SOCKET_ENDPOINTS } : OPEN_ENDPOINTS;
  return Object.hasOwn(endpoints, path) ? endpoints[path] : undefined;
}

/** Answers one request that is not for the proxy. */
export async function answer(
  sources: ServerSources,
  door: Door,
  request: { readonly method: string; readonly path: string },
  signal: AbortSignal,
): Promise<Response> {
  const { method, path } = request;
  const endpoint = endpointOf(door, path);
  if (endpoint === undefined) {
    return problem(404, 'NOT_FOUND', `There is nothing at ${path}`);
  }
  if (method !== 'GET' && method !== 'HEAD') {
    const response = problem(405, 'USAGE', `${path} takes GET only`);
    response.headers.set('allow', 'GET, HEAD');
    return response;
  }
  return endpoint(sources, signal);
}

function problem(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status });
}
