/**
 * Answers for pages of other origins, where root lists those (fetch.spec.whatwg.org, "CORS protocol"). They need the
 * local token as everybody else; cookies and other credentials of the browser are never asked for.
 */
import { type HeaderList, singleHeader } from '../../http1/head.ts';
import { type AnswerRequest, type ApiRequest, reply } from './answers.ts';
import type { RequestIds } from './request-id.ts';

/** How long a browser need not ask again, s. */
const MAX_AGE_SECONDS = 600;
const ALLOWED: HeaderList = [
  ['Access-Control-Allow-Methods', 'GET, HEAD, POST'],
  ['Access-Control-Allow-Headers', 'Authorization, If-None-Match, Last-Event-ID, X-Request-Id'],
  ['Access-Control-Max-Age', String(MAX_AGE_SECONDS)],
];
const EXPOSED = ['Access-Control-Expose-Headers', 'Date, ETag, Retry-After, X-Request-Id'] as const;

/** What pages of other origins may ask: not the page of this agent, nor what is behind `/proxy`. */
const PATHS = /^\/(?:api\/.*|openapi\.json|health|ready|version|metrics)$/;

/** Whether a page of this origin may read the answer. @param target path and query */
export function isAllowedOrigin(
  origins: readonly string[],
  origin: string | undefined,
  target: string,
): boolean {
  return (
    origin !== undefined && origins.includes(origin) && PATHS.test(target.split('?', 1)[0] ?? '')
  );
}

/** @param origins exact ones: `https://ops.example.com` */
export function crossOriginAnswers(
  deps: { readonly requestId: RequestIds; readonly origins: readonly string[] },
  answer: AnswerRequest,
): AnswerRequest {
  return async (request, signal) => {
    const origin = singleHeader(request.headers, 'origin');
    if (origin === undefined || !isAllowedOrigin(deps.origins, origin, request.target)) {
      return await answer(request, signal);
    }
    const allow: HeaderList = [
      ['Access-Control-Allow-Origin', origin],
      ['Vary', 'Origin'],
    ];
    if (isPreflight(request)) {
      const id = deps.requestId(request.headers);
      const headers = [...allow, ...ALLOWED];
      return await reply({ status: 200, body: '', type: 'text/plain', headers }, [], id);
    }
    const answered = await answer(request, signal);
    return { ...answered, headers: [...answered.headers, ...allow, EXPOSED] };
  };
}

/** Whether the browser only asks whether it may ask. */
function isPreflight({ method, headers }: ApiRequest): boolean {
  return (
    method === 'OPTIONS' && singleHeader(headers, 'access-control-request-method') !== undefined
  );
}
