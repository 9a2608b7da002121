/** Which headers of a caller go on to the API server. */
import { AgentError } from '../core/errors.ts';
import { type RequestFraming, requestFraming } from '../http1/body-framing.ts';
import { asksForUpgrade, connectionOptions } from '../http1/connection-header.ts';
import { type HeaderList, singleHeader } from '../http1/head.ts';

/** Headers for one connection only (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The API server sees the agent, whoever the caller is, so the caller's identity is left out. So
 * are the headers by which a front proxy names a user (kubernetes.io, "Authenticating Proxy").
 */
const FRONT_PROXY_PREFIX = 'x-remote-';
const IDENTITY = new Set(['authorization', 'cookie']);
/** Asks to act as another user (kubernetes.io, "User impersonation"). */
const IMPERSONATION_PREFIX = 'impersonate-';
/** The agent sets the host itself, and does not wait for a 100 before a body. */
const OWN = new Set(['host', 'expect']);

/** A bearer token can also come as a WebSocket subprotocol (Kubernetes, "websocket" authenticator). */
const TOKEN_SUBPROTOCOL = 'base64url.bearer.authorization.k8s.io.';

export interface ForwardedHeaders {
  readonly headers: HeaderList;
  readonly body: RequestFraming;
  readonly upgrade: boolean;
}

/**
 * @param host value of the Host header
 * @param token the agent's own, in place of the caller's; undefined for an application, which has
 *   its own users
 * @throws AgentError PROXY_REQUEST_INVALID as requestFraming and connectionOptions; POLICY_DENIED
 *   when the caller impersonates somebody: otherwise the request would have all rights of the agent
 */
export function forwardedHeaders(
  headers: HeaderList,
  host: string,
  token: string | undefined,
): ForwardedHeaders {
  const body = requestFraming(headers);
  const named = connectionOptions(headers);
  const upgrade = asksForUpgrade(headers, named);
  const kept: (readonly [string, string])[] =
    token === undefined
      ? [['Host', singleHeader(headers, 'host') ?? host]] // It may serve several names.
      : [
          ['Host', host],
          ['Authorization', `Bearer ${token}`],
        ];
  for (const header of headers) {
    const name = header[0].toLowerCase();
    if (token !== undefined && name.startsWith(IMPERSONATION_PREFIX)) {
      throw impersonation(header[0]);
    }
    if (OWN.has(name) || HOP_BY_HOP.has(name) || named.has(name)) {
      continue;
    }
    const value = token === undefined ? header[1] : withoutIdentity(name, header[1]);
    if (value !== undefined) {
      kept.push([header[0], value]);
    }
  }
  if (upgrade) {
    kept.push(['Connection', 'Upgrade'], ['Upgrade', singleHeader(headers, 'upgrade') ?? '']);
  } else if (body === 'chunked') {
    kept.push(['Transfer-Encoding', 'chunked']);
  }
  return { headers: kept, body, upgrade };
}

/** Headers of an answer on its way to the caller. */
export function returnedHeaders(headers: HeaderList): HeaderList {
  return headers.filter((header) => !HOP_BY_HOP.has(header[0].toLowerCase()));
}

/** @returns undefined when nothing of the header may go on */
function withoutIdentity(name: string, value: string): string | undefined {
  if (IDENTITY.has(name) || name.startsWith(FRONT_PROXY_PREFIX)) {
    return undefined;
  }
  if (name !== 'sec-websocket-protocol') {
    return value;
  }
  const others = value
    .split(',')
    .map((each) => each.trim())
    .filter((each) => !each.startsWith(TOKEN_SUBPROTOCOL));
  return others.length === 0 ? undefined : others.join(', ');
}

function impersonation(name: string): AgentError {
  const message = `Requests go to Kubernetes as the agent, never as somebody else: ${name} is refused`;
  return new AgentError('POLICY_DENIED', message, {
    hint: 'Leave out --as, --as-group, --as-uid and --as-user-extra, or use a kubeconfig of your own',
    details: { rule: 'proxy/impersonation' },
  });
}
