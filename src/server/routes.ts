import type { DetailedHealth, ReadyAnswer } from '../protocol/local-api.ts';
import { foreignReason } from './own-host.ts';

/** What the routes show; every value is read when it is asked for. */
export interface ServerSources {
  readonly version: { readonly version: string; readonly commit: string };
  readonly ready: (signal: AbortSignal) => Promise<ReadyAnswer>;
  readonly detailed: (signal: AbortSignal) => Promise<DetailedHealth>;
  /** Prometheus text. */
  readonly metrics: () => string;
}

/** The socket is for root and the group of the agent; loopback is open to every user here. */
export type Door = 'loopback' | 'socket';

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
};

/** Answers one request. */
export async function answer(
  sources: ServerSources,
  door: Door,
  request: Request,
): Promise<Response> {
  const url = new URL(request.url);
  const foreign =
    door === 'loopback'
      ? foreignReason(url.host, request.headers.get('origin') ?? undefined, 'http')
      : undefined;
  if (foreign !== undefined) {
    return problem(403, foreign.code, foreign.message);
  }
  const routes = door === 'socket' ? { ...OPEN_ROUTES, ...SOCKET_ROUTES } : OPEN_ROUTES;
  const route = Object.hasOwn(routes, url.pathname) ? routes[url.pathname] : undefined;
  if (route === undefined) {
    return problem(404, 'NOT_FOUND', `There is nothing at ${url.pathname}`);
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    const response = problem(405, 'USAGE', `${url.pathname} takes GET only`);
    response.headers.set('allow', 'GET, HEAD');
    return response;
  }
  return route(sources, request);
}

function problem(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status });
}
