import { type BoundedText, textUpTo } from '../../core/bounded-body.ts';
import { AgentError } from '../../core/errors.ts';
import { networkTrouble, troubleHint } from '../../core/network-trouble.ts';
import type { Clock, Http, TlsOptions } from '../../core/ports.ts';
import { SLOWEST_BYTES_PER_MS } from '../../core/slowest-link.ts';
import { redactedStart } from '../../core/text/middle-cut.ts';
import { withoutEnd } from '../../core/text/without-end.ts';
import { withDeadline } from '../../core/waiting.ts';
import { isPage, senderOf } from '../../protocol/intermediary.ts';
import { REST_BODY_LIMIT_BYTES } from '../../protocol/rest.ts';
import { usableToken } from '../credentials/authorization.ts';
import { BETWEEN_HINT, LATER_HINT, SessionError, tokenRejected } from '../session/failure.ts';
import { retryAfterMs } from '../session/pace.ts';

/** Characters of a foreign error text that are repeated. */
const FOREIGN_TEXT_MAX = 200;

export interface RestCallOptions {
  /** `https://…`, with or without a path. */
  readonly baseUrl: string;
  readonly version: string;
  /** Certificates (PEM) to trust instead of the public ones. */
  readonly ca: string | undefined;
}

export interface RestCallDeps {
  readonly clock: Clock;
  readonly http: Http;
  /** The bearer token as it is now: it may be replaced while the daemon runs. */
  readonly token: () => Promise<string | undefined>;
}

export interface RestCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: string | ReadableStream<Uint8Array>;
  /**
   * Time until the answer is there, beside what the slowest link needs for the bytes of both
   * bodies.
   */
  readonly timeoutMs: number;
  readonly authorized: boolean;
  /** A longer answer is cut here. Without this field it is an error. */
  readonly cutAtBytes?: number;
}

/**
 * One call to the control plane over HTTP.
 * @returns the text of its answer, or only its beginning where the request asks for that
 * @throws AgentError TOKEN_REJECTED (401, 403), NOT_FOUND (404), CONTROL_PLANE_ERROR (other
 *   answers; with their failure, see `SessionError`), CONTROL_PLANE_UNREACHABLE (no answer),
 *   INTERRUPTED (by the signal)
 */
export async function restCall(
  deps: RestCallDeps,
  options: RestCallOptions,
  request: RestCall,
  signal: AbortSignal,
): Promise<BoundedText> {
  const token = request.authorized ? await usableToken(deps) : undefined;
  const { response, body } = await send(deps, options, request, token, signal);
  if (response.status >= 200 && response.status < 300) {
    return body;
  }
  throw rejection(deps.clock, request, response, body.text, token);
}

async function send(
  deps: RestCallDeps,
  options: RestCallOptions,
  request: RestCall,
  token: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly response: Response; readonly body: BoundedText }> {
  const tls: TlsOptions = options.ca === undefined ? {} : { ca: options.ca };
  const limit = { what: `${request.method} ${request.path}`, ms: request.timeoutMs };
  try {
    return await withDeadline(deps.clock, limit, signal, async (inner, allow) => {
      const allowFor = (bytes: number) => allow(bytes / SLOWEST_BYTES_PER_MS);
      if (typeof request.body === 'string') {
        allowFor(Buffer.byteLength(request.body));
      }
      const response = await deps.http(`${withoutEnd(options.baseUrl, '/')}${request.path}`, {
        method: request.method,
        headers: {
          'user-agent': `PipeOps-Agent/${options.version}`,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(request.body === undefined ? {} : { body: request.body }),
        // The token must not follow a redirect to another host.
        redirect: 'manual',
        signal: inner,
        tls,
      });
      return { response, body: await readBounded(request, response, allowFor) };
    });
  } catch (thrown) {
    throw noAnswer(options, thrown, signal);
  }
}

async function readBounded(
  { cutAtBytes }: RestCall,
  response: Response,
  came: (bytes: number) => void,
): Promise<BoundedText> {
  const body = await textUpTo(response, cutAtBytes ?? REST_BODY_LIMIT_BYTES, came);
  if (!body.isWhole && cutAtBytes === undefined) {
    throw new AgentError(
      'CONTROL_PLANE_ERROR',
      `The control plane sent more than ${REST_BODY_LIMIT_BYTES} bytes`,
      { hint: 'Check that the address of the control plane is right' },
    );
  }
  return body;
}

/** Names the cause, so that the reader knows which machine to look at. */
function noAnswer(options: RestCallOptions, thrown: unknown, signal: AbortSignal): AgentError {
  const isTimeout = thrown instanceof AgentError && thrown.code === 'TIMEOUT';
  if (thrown instanceof AgentError && !isTimeout) {
    return thrown;
  }
  const { host } = new URL(options.baseUrl);
  if (signal.aborted) {
    return new AgentError('INTERRUPTED', `The request to ${host} was interrupted`);
  }
  const trouble = networkTrouble(thrown, { ownCa: options.ca !== undefined, proxy: '' });
  const why = isTimeout ? 'it did not answer in time' : trouble.why;
  return new AgentError('CONTROL_PLANE_UNREACHABLE', `Cannot reach ${host}: ${why}`, {
    hint: troubleHint(trouble),
    cause: thrown,
  });
}

/** A web page does not come from the control plane, so it says nothing about the token either. */
function pageError(clock: Clock, request: RestCall, response: Response, from: string): AgentError {
  const { status, headers } = response;
  const pauseMs = retryAfterMs(clock, headers.get('retry-after'));
  return new SessionError(
    'CONTROL_PLANE_ERROR',
    `${request.method} ${request.path} was answered ${status} with a page, by ${from}: not by the control plane`,
    { kind: 'answered', status, retryAfterMs: pauseMs },
    { hint: BETWEEN_HINT },
  );
}

function rejection(
  clock: Clock,
  request: RestCall,
  response: Response,
  text: string,
  token: string | undefined,
): AgentError {
  const header = (name: string) => response.headers.get(name) ?? undefined;
  if (response.status !== 401 && isPage(header('content-type'), text)) {
    return pageError(clock, request, response, senderOf(header));
  }
  const said = redactedStart(text, FOREIGN_TEXT_MAX, token === undefined ? [] : [token]);
  const answer = `${request.method} ${request.path} was answered ${response.status}`;
  const message = said.trim() === '' ? answer : `${answer}: ${said.trim()}`;
  const { status } = response;
  switch (status) {
    case 401:
    case 403:
      return tokenRejected(status);
    case 404:
      return new SessionError(
        'NOT_FOUND',
        message,
        { kind: 'answered', status },
        {
          hint: 'Check the address of the control plane: control_plane.url',
        },
      );
    default: {
      const pauseMs = retryAfterMs(clock, response.headers.get('retry-after'));
      const failure = { kind: 'answered', status, retryAfterMs: pauseMs } as const;
      return new SessionError('CONTROL_PLANE_ERROR', message, failure, { hint: LATER_HINT });
    }
  }
}
