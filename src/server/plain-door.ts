/** The doors without TLS, on 127.0.0.1 and on the socket: the agent's own answers, and plain requests to the API. */

import type { Clock, Log } from '../core/ports.ts';
import { asksForUpgrade } from '../http1/connection-header.ts';
import { type HeaderList, type RequestHead, singleHeader } from '../http1/head.ts';
import { headRoom } from '../http1/head-room.ts';
import type { DoorDeps, Refusal } from '../http1/server/connection.ts';
import { apiAnswers } from './api/answers.ts';
import { crossOriginAnswers, isAllowedOrigin } from './api/cross-origin.ts';
import { PROBLEM_TYPE, problemBody, type Refused, tokenNeeded } from './api/problem.ts';
import { requestIds } from './api/request-id.ts';
import { sendAnswer } from './api/send-answer.ts';
import { dashboardAnswers } from './dashboard/answers.ts';
import { foreignReason } from './own-host.ts';
import { programOf } from './program-name.ts';
import type { Door, ServerSources } from './sources.ts';
import { SOCKET_PATH, socketDoor, tokenOfProtocol } from './web-socket/door.ts';

const PREFIX = '/proxy';

interface PlainDoorDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly sources: ServerSources;
}

/** @param leaving aborted when the door closes */
export function plainDoor(deps: PlainDoorDeps, door: Door, leaving: AbortSignal): DoorDeps {
  const { proxy, auth, tokenFile } = deps.sources;
  const requestId = requestIds(deps.clock);
  const api = crossOriginAnswers(
    { requestId, origins: deps.sources.corsOrigins },
    apiAnswers({ ...deps, tokenFile, requestId }),
  );
  const openSocket = socketDoor({ ...deps, tokenFile, requestId }, leaving);
  // Who can open the socket needs no page.
  const answer =
    door === 'socket' ? api : dashboardAnswers({ ...deps.sources.dashboard, requestId }, api);
  const refuse = (refused: Refused, headers: HeaderList) => refusal(refused, requestId(headers));
  return {
    headRoom: headRoom(),
    admit: (head) => {
      const refused = refusalOf(deps.sources, door, head);
      return refused && refuse(refused, head.headers);
    },
    malformed: (status, message) => refuse({ status, code: 'PROXY_REQUEST_INVALID', message }, []),
    begin: (head, sink) => {
      const { method, headers } = head;
      const target = targetOf(head);
      if (proxy === undefined || !isOfProxy(target)) {
        const isTrusted = door === 'socket' || hasToken(auth, head);
        const request = { method, target, headers, isTrusted };
        return isOfSocket(target) ? openSocket(request, sink) : sendAnswer(answer, request, sink);
      }
      const client = `${door}:${programOf(headers)}`;
      const asked = { method, target: target.slice(PREFIX.length), headers, client, leaving };
      return proxy.forward(asked, sink);
    },
  };
}

/** A subprotocol shows it for `/ws` alone: what is proxied takes its subprotocols along. */
function hasToken(auth: ServerSources['auth'], head: RequestHead): boolean {
  const shown = singleHeader(head.headers, 'authorization');
  const offered = isOfSocket(targetOf(head)) ? tokenOfProtocol(head.headers) : undefined;
  return auth.accepts(shown ?? offered);
}

function isOfSocket(target: string): boolean {
  return target.split('?', 1)[0] === SOCKET_PATH;
}

function isOfProxy(target: string): boolean {
  return target.startsWith(`${PREFIX}/`);
}

/**
 * The target without the scheme and host that clients of a proxy put before it (RFC 9112 section
 * 3.2.2).
 */
function targetOf({ target }: RequestHead): string {
  if (target.startsWith('/')) {
    return target;
  }
  const path = target.indexOf('/', target.indexOf('://') + '://'.length);
  return path === -1 ? '/' : target.slice(path);
}

/** Refuses a request before anything else of it is looked at. */
function refusalOf(sources: ServerSources, door: Door, head: RequestHead): Refused | undefined {
  const { proxy, auth, tokenFile, corsOrigins } = sources;
  const accepts = () => hasToken(auth, head);
  if (door === 'loopback') {
    const host = singleHeader(head.headers, 'host');
    const origin = singleHeader(head.headers, 'origin');
    // Most callers are not browsers: the token matters here only when there is an Origin.
    const isKnown =
      origin !== undefined && (isAllowedOrigin(corsOrigins, origin, targetOf(head)) || accepts());
    const foreign = foreignReason({ host, origin, hasToken: isKnown }, 'http');
    if (foreign !== undefined) {
      return { status: 403, ...foreign };
    }
  }
  const target = targetOf(head);
  return proxy !== undefined && isOfProxy(target)
    ? refusalOfProxy(door, { head, target }, { accepts, tokenFile })
    : undefined;
}

/**
 * Only permitted users can open the socket. Loopback is open to everybody, so it asks for a token.
 */
function refusalOfProxy(
  door: Door,
  { head, target }: { readonly head: RequestHead; readonly target: string },
  { accepts, tokenFile }: { readonly accepts: () => boolean; readonly tokenFile: string },
): Refused | undefined {
  if (door === 'loopback' && !accepts()) {
    return tokenNeeded(tokenFile);
  }
  if (asksForUpgrade(head.headers)) {
    const message = 'Upgrades go to the TLS listener';
    const hint = 'Make a kubeconfig for it: sudo pipeops-agent kubeconfig --local';
    return { status: 421, code: 'USAGE', message, hint };
  }
  if (target.includes('#')) {
    // A target has no "#" (RFC 9112 section 3.2); the part behind it would be left out.
    const message = 'The address has a "#"; escape it as %23';
    return { status: 400, code: 'PROXY_REQUEST_INVALID', message };
  }
  return undefined;
}

function refusal(refused: Refused, id: string): Refusal {
  const { status } = refused;
  const headers: HeaderList = [
    ['Content-Type', PROBLEM_TYPE],
    ['X-Request-Id', id],
    ...(status === 401 ? [['WWW-Authenticate', 'Bearer'] as const] : []),
  ];
  return { status, headers, body: JSON.stringify(problemBody(refused, id)) };
}
