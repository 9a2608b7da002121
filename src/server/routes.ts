import type {
  DetailedHealth,
  LocalAccess,
  PolicyAnswer,
  ReadyAnswer,
  SessionAnswer,
  SettingsAnswer,
} from '../protocol/local-api.ts';
import { isUpgrade } from '../proxy/request-headers.ts';
import type { LocalAuth } from './local-auth.ts';
import { type Caller, foreignReason } from './own-host.ts';

/** What the routes show; every value is read when it is asked for. */
export interface ServerSources {
  readonly version: { readonly version: string; readonly commit: string };
  readonly ready: (signal: AbortSignal) => Promise<ReadyAnswer>;
  readonly detailed: (signal: AbortSignal) => Promise<DetailedHealth>;
  /** Takes the policy file up as it is now. */
  readonly policy: () => Promise<PolicyAnswer>;
  /** Takes up the session's files as they are now, and tries at once. */
  readonly session: () => Promise<SessionAnswer>;
  /** What the daemon was started with. No secret is a setting. */
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
   * @param target path and query of the Kubernetes API
   * @param leaving aborted when the door closes
   */
  readonly answer: (
    request: Request,
    target: string,
    client: string,
    leaving: AbortSignal,
  ) => Promise<Response>;
}

/** The socket is for root and the group of the agent; loopback is open to every user here. */
export type Door = 'loopback' | 'socket';

const PROXY_PREFIX = '/proxy/';
/** Characters of a User-Agent that tell one client of the proxy from another. */
const PROGRAM_LENGTH_MAX = 64;
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Route = (sources: ServerSources, request: Request) => Promise<Response> | Response;

const OPEN_ROUTES: Readonly<Record<string, Route>> = {
  /** The process is alive; says nothing of anything else. */
  '/health': () => Response.json({ status: 'ok' }),
  '/ready': async (sources, request) => {
    const answer = await sources.ready(request.signal);
    return Response.json(answer, { status: answer.ready ? 200 : 503 });
  },
  '/version': (sources) => Response.json(sources.version),
  '/metrics': (sources) =>
    new Response(sources.metrics(), { headers: { 'content-type': METRICS_TYPE } }),
};

const SOCKET_ROUTES: Readonly<Record<string, Route>> = {
  '/api/health/detailed': async (sources, request) =>
    Response.json(await sources.detailed(request.signal)),
  '/api/policy': async (sources) => Response.json(await sources.policy()),
  '/api/session': async (sources) => Response.json(await sources.session()),
  '/api/settings': (sources) => Response.json(sources.settings()),
  '/api/k8s/local-access': (sources) =>
    sources.proxy === undefined
      ? problem(404, 'NOT_A_SERVER', 'A worker has no way to the Kubernetes API')
      : Response.json(sources.proxy.access()),
};

/**
 * Answers one request.
 * @param keepOpen called for an answer that may be silent for as long as it likes
 * @param leaving aborted when the door closes
 */
export async function answer(
  sources: ServerSources,
  door: Door,
  request: Request,
  keepOpen: () => void,
  leaving: AbortSignal,
): Promise<Response> {
  const url = splitUrl(request.url);
  const foreign =
    door === 'loopback' ? foreignReason(callerOf(sources, request, url.host), 'http') : undefined;
  if (foreign !== undefined) {
    return problem(403, foreign.code, foreign.message);
  }
  if (url.path.startsWith(PROXY_PREFIX) && sources.proxy !== undefined) {
    return answerProxy(sources.proxy, door, request, url, keepOpen, leaving);
  }
  const routes = door === 'socket' ? { ...OPEN_ROUTES, ...SOCKET_ROUTES } : OPEN_ROUTES;
  const route = Object.hasOwn(routes, url.path) ? routes[url.path] : undefined;
  if (route === undefined) {
    return problem(404, 'NOT_FOUND', `There is nothing at ${url.path}`);
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    const response = problem(405, 'USAGE', `${url.path} takes GET only`);
    response.headers.set('allow', 'GET, HEAD');
    return response;
  }
  return route(sources, request);
}

function callerOf(sources: ServerSources, request: Request, host: string): Caller {
  const { headers } = request;
  const origin = headers.get('origin') ?? undefined;
  // Most callers are no browsers: only with an Origin does the token matter here.
  const authorization = origin === undefined ? null : headers.get('authorization');
  const hasToken = sources.proxy?.auth.accepts(authorization ?? undefined) === true;
  return { host, origin, hasToken };
}

interface SplitUrl {
  /** '' when the caller gave none that could be one. */
  readonly host: string;
  readonly path: string;
  /** With its "?"; '' when there is none. */
  readonly query: string;
}

/** The runtime has parsed and normalised it already; making a URL of it again costs more than the policy. */
function splitUrl(url: string): SplitUrl {
  // Behind a Host that is none the runtime gives the path alone.
  const hostAt = url.startsWith('/') ? 0 : url.indexOf('://') + 3;
  const pathAt = url.indexOf('/', hostAt);
  const fragmentAt = url.indexOf('#', pathAt);
  const whole = fragmentAt < 0 ? url : url.slice(0, fragmentAt);
  const mark = whole.indexOf('?', pathAt);
  const queryAt = mark < 0 ? whole.length : mark;
  return {
    host: whole.slice(hostAt, pathAt),
    path: whole.slice(pathAt, queryAt),
    query: whole.slice(queryAt),
  };
}

/** The socket is for those who may anyway; on loopback everybody knocks, so a token is asked for. */
function answerProxy(
  proxy: ProxySource,
  door: Door,
  request: Request,
  url: SplitUrl,
  keepOpen: () => void,
  leaving: AbortSignal,
): Promise<Response> | Response {
  const authorization = request.headers.get('authorization') ?? undefined;
  if (door === 'loopback' && !proxy.auth.accepts(authorization)) {
    const message = 'A local token is needed; it stands in /run/pipeops-agent/local-token';
    return problem(401, 'LOCAL_TOKEN_REJECTED', message);
  }
  if (isUpgrade(request.headers.get('upgrade') ?? '')) {
    return problem(
      421,
      'USAGE',
      'Upgrades go to the TLS listener: pipeops-agent kubeconfig --local',
    );
  }
  if (request.url.includes('#')) {
    // A request has none (RFC 9112 section 3.2), and what stands behind it would be left out.
    return problem(400, 'PROXY_REQUEST_INVALID', 'The address has a "#"; escape it as %23');
  }
  keepOpen();
  const target = `${url.path.slice(PROXY_PREFIX.length - 1)}${url.query}`;
  const program = (request.headers.get('user-agent') ?? '').split('/')[0] ?? '';
  const client = `${door}:${program.slice(0, PROGRAM_LENGTH_MAX)}`;
  return proxy.answer(request, target, client, leaving);
}

function problem(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status });
}
