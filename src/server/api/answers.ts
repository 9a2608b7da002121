/** The agent's own answers: which route a request is for, whether it may be asked, and how the answer is sent. */
import { AgentError, toAgentError } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { troubleOf } from '../../core/trouble.ts';
import { type HeaderList, singleHeader } from '../../http1/head.ts';
import { encoded, entityTag, isKnown } from './encoding.ts';
import { type OpenHandler, openHandler } from './open-routes.ts';
import { PROBLEM_TYPE, problemBody, type Refused, statusOf, tokenNeeded } from './problem.ts';
import { rateLimit } from './rate.ts';
import type { RequestIds } from './request-id.ts';
import type { Route } from './route.ts';
import { findRoute } from './router.ts';
import type { ApiSources } from './sources.ts';
import type { ApiStream } from './stream.ts';

const JSON_TYPE = 'application/json;charset=utf-8';
const STREAM_TYPES = {
  json: JSON_TYPE,
  text: 'text/plain;charset=utf-8',
  events: 'text/event-stream;charset=utf-8',
} as const;
/** What answers only to those who may ask; that there is nothing elsewhere is no secret. */
const OWN_PATHS = /^\/(?:api\/|debug\/|openapi\.json$)/;
const SEE_TABLE = 'See /openapi.json, or docs/API.md';

export interface ApiRequest {
  readonly method: string;
  /** Path and query: `/api/k8s/pods?limit=1`. */
  readonly target: string;
  readonly headers: HeaderList;
  /** It came over the socket, or has shown the local token. */
  readonly isTrusted: boolean;
}

export interface ApiReply {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Buffer | ApiStream;
}

interface ApiDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly sources: ApiSources;
  /** Where the local token stands, for those who lack it. */
  readonly tokenFile: string;
  readonly requestId: RequestIds;
}

/** What was found out, before it is put into bytes. */
interface Answer {
  readonly status: number;
  /** A text is sent as it is, everything else as JSON. */
  readonly body: unknown;
  readonly type?: string;
  readonly headers?: HeaderList;
  /** Asked for again and again, and the same for a while: it gets an entity tag. */
  readonly hasTag?: boolean;
  /** Sent in place of the body. */
  readonly stream?: ApiStream;
}

/** Never rejects: an error is an answer. */
export type AnswerRequest = (request: ApiRequest, signal: AbortSignal) => Promise<ApiReply>;

/** Of one door: its callers share one rate. */
export function apiAnswers(deps: ApiDeps): AnswerRequest {
  const rate = rateLimit(deps);
  let routes: readonly Route[] | undefined;
  const load = async () => {
    routes ??= (await import('./routes.ts')).apiRoutes(deps);
    return routes;
  };
  const find = async (asked: Asked): Promise<Answer> => {
    const { request, id } = asked;
    const address = `http://agent${request.target}`;
    if (!URL.canParse(address)) {
      const message = 'The address cannot be read';
      return refusal({ status: 400, code: 'USAGE', message, hint: SEE_TABLE }, id);
    }
    const url = new URL(address);
    const open = openHandler(url.pathname);
    if (open !== undefined) {
      return answerOpen(deps, open, asked);
    }
    if (!OWN_PATHS.test(url.pathname)) {
      return nothingAt(url, id);
    }
    if (!request.isTrusted) {
      return refusal(tokenNeeded(deps.tokenFile), id, [['WWW-Authenticate', 'Bearer']]);
    }
    // Behind the token: else who has none could take the turns of those who have it.
    const waitSeconds = rate.take();
    return waitSeconds === undefined
      ? answerRoute(deps, await load(), asked, url)
      : tooMany(waitSeconds, id);
  };
  return async (request, signal) => {
    const id = deps.requestId(request.headers);
    const startedAt = deps.clock.monotonic();
    const answer = await find({ request, signal, id }).catch((thrown) => failed(deps, thrown, id));
    deps.log.debug('answered a request', {
      request_id: id,
      method: request.method,
      // Without the query, which may be long.
      path: request.target.split('?', 1)[0],
      status: answer.status,
      duration_ms: Math.round(deps.clock.monotonic() - startedAt),
    });
    const answered = await reply(answer, request.headers, id);
    // Whoever shows how long ago something was reckons by this clock (RFC 9110 section 6.6.1).
    const date = ['Date', deps.clock.now().toUTCString()] as const;
    return { ...answered, headers: [...answered.headers, date] };
  };
}

/** One request under way. */
interface Asked {
  readonly request: ApiRequest;
  readonly signal: AbortSignal;
  readonly id: string;
}

async function answerOpen(
  { sources }: ApiDeps,
  handle: OpenHandler,
  { request: { method, headers }, signal, id }: Asked,
): Promise<Answer> {
  return method === 'GET' || method === 'HEAD'
    ? await handle({ sources, signal, accept: valuesOf(headers, 'accept') })
    : otherMethod(['GET', 'HEAD'], id);
}

function nothingAt({ pathname }: URL, id: string): Answer {
  const message = `There is nothing at ${pathname}`;
  return refusal({ status: 404, code: 'NOT_FOUND', message, hint: SEE_TABLE }, id);
}

function tooMany(waitSeconds: number, id: string): Answer {
  const message = 'Too many requests came in a short time';
  const hint = 'Ask less often';
  return refusal({ status: 429, code: 'TOO_MANY_REQUESTS', message, hint }, id, [
    ['Retry-After', String(waitSeconds)],
  ]);
}

async function answerRoute(
  { sources }: ApiDeps,
  routes: readonly Route[],
  { request, signal, id }: Asked,
  url: URL,
): Promise<Answer> {
  const found = findRoute(routes, request.method, url.pathname);
  switch (found.kind) {
    case 'nothing':
      return nothingAt(url, id);
    case 'other-method':
      return otherMethod(found.allow, id);
    case 'route': {
      const { route, parts } = found;
      const given = { ...Object.fromEntries(url.searchParams), ...parts };
      const empty = Object.keys(given).filter((name) => given[name]?.trim() === '');
      if (empty.length > 0) {
        // As a number it would be 0, which nobody asked for.
        throw wrongParams(
          route,
          empty.map((name) => ({ path: [name], message: 'it is empty' })),
        );
      }
      const params = route.params.safeParse(given);
      if (!params.success) {
        throw wrongParams(route, params.error.issues);
      }
      const lastEventId = singleHeader(request.headers, 'last-event-id');
      const context = { sources, signal, lastEventId };
      if (route.isStream) {
        return streamed(route.format, await route.handle(context, params.data));
      }
      const body = await route.handle(context, params.data);
      return { status: 200, body, hasTag: route.method === 'GET' };
    }
  }
}

function streamed(format: Route['format'], stream: ApiStream): Answer {
  const headers = [['Cache-Control', 'no-store']] as const;
  return { status: 200, body: '', type: STREAM_TYPES[format], headers, stream };
}

function wrongParams(
  { path }: Route,
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): AgentError {
  const problems = issues.map(({ path: at, message }) =>
    at.length === 0 ? message : `${at.join('.')}: ${message}`,
  );
  return new AgentError('USAGE', `The address does not fit ${path}: ${problems.join('; ')}`, {
    hint: SEE_TABLE,
  });
}

function otherMethod(allow: readonly string[], id: string): Answer {
  const message = `Only ${allow.join(', ')} can be asked there`;
  return refusal({ status: 405, code: 'USAGE', message }, id, [['Allow', allow.join(', ')]]);
}

function refusal(refused: Refused, id: string, headers: HeaderList = []): Answer {
  return { status: refused.status, body: problemBody(refused, id), type: PROBLEM_TYPE, headers };
}

function failed({ log }: ApiDeps, thrown: unknown, id: string): Answer {
  const error = toAgentError(thrown);
  if (error.code === 'INTERNAL') {
    log.error('a request failed', { request_id: id, error: troubleOf(thrown) });
    const message = 'The agent could not answer';
    const hint = 'Its log has the cause: journalctl -u pipeops-agent';
    return refusal({ status: 500, code: 'INTERNAL', message, hint }, id);
  }
  const { code, message, hint } = error;
  return refusal({ status: statusOf(error), code, message, hint }, id);
}

function valuesOf(headers: HeaderList, wanted: string): string {
  return headers
    .filter(([name]) => name.toLowerCase() === wanted)
    .map(([, value]) => value)
    .join();
}

/** @param asked headers of the request */
export async function reply(answer: Answer, asked: HeaderList, id: string): Promise<ApiReply> {
  const { status, body, headers = [], hasTag = false } = answer;
  const isText = typeof body === 'string';
  const type = answer.type ?? JSON_TYPE;
  const bytes = Buffer.from(isText ? body : JSON.stringify(body));
  const all: (readonly [string, string])[] = [
    ['Content-Type', type],
    ['X-Request-Id', id],
    ...headers,
  ];
  if (answer.stream !== undefined) {
    return { status, headers: all, body: answer.stream };
  }
  if (hasTag) {
    const tag = entityTag(bytes);
    all.push(['ETag', tag], ['Cache-Control', 'no-cache']);
    if (isKnown(tag, asked)) {
      return { status: 304, headers: all.slice(1), body: Buffer.alloc(0) };
    }
  }
  const { body: sent, encoding } = await encoded(bytes, valuesOf(asked, 'accept-encoding'));
  if (encoding !== undefined) {
    all.push(['Content-Encoding', encoding], ['Vary', 'Accept-Encoding']);
  }
  return { status, headers: all, body: sent };
}
