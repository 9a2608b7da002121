/** `/ws`: questions and answers over a WebSocket, for dashboards that were made for earlier agents. */
import { limitedLog } from '../../core/limited-log.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { ExchangeSink } from '../../http1/client/exchange.ts';
import { asksForUpgrade } from '../../http1/connection-header.ts';
import { type HeaderList, singleHeader } from '../../http1/head.ts';
import { reasonPhrase } from '../../http1/reason-phrase.ts';
import type { ProxyCall } from '../../http1/server/call.ts';
import { upgradeAnswer, VERSION } from '../../websocket/upgrade.ts';
import { type ApiRequest, reply } from '../api/answers.ts';
import { PROBLEM_TYPE, problemBody, type Refused, tokenNeeded } from '../api/problem.ts';
import { rateLimit } from '../api/rate.ts';
import type { RequestIds } from '../api/request-id.ts';
import { sendAnswer } from '../api/send-answer.ts';
import type { ApiSources } from '../api/sources.ts';
import { answerTo, greeting } from './answers.ts';
import { Conversation } from './conversation.ts';

export const SOCKET_PATH = '/ws';
/** Open at the same time at one door. */
export const CONVERSATIONS_MAX = 50;
/** The subprotocol of whoever shows the token by one: a browser can set no other header. */
const PROTOCOL = 'pipeops-agent';
const TOKEN_PREFIX = 'bearer.';

interface SocketDoorDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly sources: ApiSources;
  readonly tokenFile: string;
  readonly requestId: RequestIds;
}

/** @param leaving aborted when the door closes */
export function socketDoor(
  deps: SocketDoorDeps,
  leaving: AbortSignal,
): (request: ApiRequest, sink: ExchangeSink) => ProxyCall {
  const rate = rateLimit(deps);
  const warn = limitedLog(deps.clock, deps.log.warn);
  let open = 0;
  const answer = async (question: string, signal: AbortSignal) => {
    const waitSeconds = rate.take();
    if (waitSeconds !== undefined) {
      await deps.clock.sleep(waitSeconds * 1_000, signal);
    }
    return await answerTo(deps, question, signal);
  };
  return (request, sink) => {
    const { headers } = request;
    const protocol = offered(headers).includes(PROTOCOL) ? PROTOCOL : undefined;
    const upgrade = upgradeAnswer(headers, protocol);
    const refused = refusalOf(deps, request, upgrade, open);
    if (refused !== undefined || upgrade === undefined) {
      return sendRefusal(deps, request, sink, refused ?? NO_UPGRADE);
    }
    open += 1;
    const opened = Promise.resolve().then(() =>
      // The caller needs its `ProxyCall` before it can be told anything.
      sink.head({ status: 101, reason: reasonPhrase(101), headers: upgrade }),
    );
    const first = opened.then(() => greeting(deps, leaving));
    const onOver = (dropped: boolean) => {
      open -= 1;
      if (dropped) {
        warn('dropped a reader that is too slow', { stream: 'ws', error_code: 'READER_TOO_SLOW' });
      }
    };
    return new Conversation({ clock: deps.clock, sink, answer, onOver }, first, leaving);
  };
}

/** `Bearer TOKEN` of the subprotocol `bearer.TOKEN`. Undefined where none is offered. */
export function tokenOfProtocol(headers: HeaderList): string | undefined {
  const found = offered(headers).find((each) => each.startsWith(TOKEN_PREFIX));
  return found === undefined ? undefined : `Bearer ${found.slice(TOKEN_PREFIX.length)}`;
}

function offered(headers: HeaderList): readonly string[] {
  const value = singleHeader(headers, 'sec-websocket-protocol') ?? '';
  return value.split(',').map((each) => each.trim());
}

const NO_UPGRADE: Refused = {
  status: 426,
  code: 'USAGE',
  message: 'Only a WebSocket can be opened there',
  hint: 'Ask for events over HTTP: /api/realtime/events',
};

function refusalOf(
  { tokenFile }: SocketDoorDeps,
  { isTrusted, method, headers }: ApiRequest,
  upgrade: HeaderList | undefined,
  open: number,
): Refused | undefined {
  if (!isTrusted) {
    return tokenNeeded(tokenFile);
  }
  if (method !== 'GET' || upgrade === undefined || !asksForUpgrade(headers)) {
    return NO_UPGRADE;
  }
  return open < CONVERSATIONS_MAX
    ? undefined
    : {
        status: 429,
        code: 'TOO_MANY_REQUESTS',
        message: `${CONVERSATIONS_MAX} read it already`,
        hint: 'End those that are not needed any more',
      };
}

function sendRefusal(
  { requestId }: SocketDoorDeps,
  request: ApiRequest,
  sink: ExchangeSink,
  refused: Refused,
): ProxyCall {
  const { status } = refused;
  const id = requestId(request.headers);
  const headers: HeaderList = [
    ...(status === 401 ? [['WWW-Authenticate', 'Bearer'] as const] : []),
    ...(status === 426
      ? ([
          ['Upgrade', 'websocket'],
          ['Sec-WebSocket-Version', VERSION],
        ] as const)
      : []),
  ];
  const answer = { status, body: problemBody(refused, id), type: PROBLEM_TYPE, headers };
  return sendAnswer(() => reply(answer, request.headers, id), request, sink);
}
