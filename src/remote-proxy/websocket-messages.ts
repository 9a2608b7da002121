/** The `proxy_websocket_*` messages of a session, also by their older names `ws_*`. */

import type { SessionLink } from '../control-plane/session/ports.ts';
import type { Clock, Random } from '../core/ports.ts';
import { afterwards } from '../core/waiting.ts';
import type { HeaderList } from '../http1/head.ts';
import { decodeBase64 } from '../protocol/base64.ts';
import type { Envelope } from '../protocol/session/messages.ts';
import {
  type ProxyRequestPayload,
  type ProxyResponseHeaderPayload,
  ProxyWebSocketInputPayload,
  ProxyWebSocketStartPayload,
} from '../protocol/session/proxy.ts';
import type { ForwardDeps } from '../proxy/forward.ts';
import { OPCODES } from '../websocket/frame.ts';
import { headerOf, type RemoteDestinations, remoteDestination } from './destination.ts';
import type { LinkRoom } from './link-room.ts';
import { groupedHeaders } from './request.ts';
import { type RemoteWebSocket, remoteWebSocket } from './websocket-bridge.ts';

/** WebSockets of one connection at once. */
const WEBSOCKETS_MAX = 512;

export const WEBSOCKET_MESSAGE_TYPES = [
  ...['proxy_websocket_start', 'proxy_websocket_data', 'proxy_websocket_close'],
  ...['ws_start', 'ws_data', 'ws_close'],
] as const;

interface WebSocketMessagesDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly proxy: Omit<ForwardDeps, 'destination'>;
  readonly destinations: RemoteDestinations;
  readonly link: SessionLink;
  readonly room: LinkRoom;
}

export interface WebSocketMessages {
  message(envelope: Envelope): void;
  /**
   * A `proxy_request` that asks for a WebSocket; it is answered like other requests.
   * @param limitMs how long it may last; undefined means without a limit
   */
  request(id: string, payload: ProxyRequestPayload, limitMs: number | undefined): void;
  linkFull(): void;
  roomAgain(): void;
  /** Opens no more WebSockets, and ends the open ones: they would never end by themselves. */
  goAway(): void;
  underWay(): number;
  close(): void;
}

export function webSocketMessages(deps: WebSocketMessagesDeps): WebSocketMessages {
  const { link } = deps;
  const open = new Map<string, RemoteWebSocket>();
  let goingAway = false;
  const begin = (id: string, target: ProxyWebSocketStart, answers: Answers, limitMs?: number) => {
    const refusal = reasonToRefuse(open, goingAway, id);
    if (refusal !== undefined) {
      answers.refused(0, refusal);
      return;
    }
    const over = new AbortController();
    const headers = withProtocol(target.headers, target.protocol);
    const destination = remoteDestination(deps.destinations, link, target);
    const socket = remoteWebSocket(
      { random: deps.random, proxy: { ...deps.proxy, destination } },
      {
        id,
        link,
        headers,
        ...answers,
        target: target.query === '' ? target.path : `${target.path}?${target.query}`,
        isFull: () => deps.room.isFull(),
        over: () => {
          open.delete(id);
          over.abort();
        },
      },
    );
    open.set(id, socket);
    endAfter(deps.clock, limitMs, over.signal, () => socket.leave('timeout'));
  };
  const start = (envelope: Envelope) => {
    const parsed = ProxyWebSocketStartPayload.safeParse(envelope.payload);
    if (!parsed.success) {
      const problems = parsed.error.issues.map((issue) => issue.message).join('; ');
      link.send('proxy_error', { error: problems }, envelope.request_id);
      return;
    }
    const id = parsed.data.stream_id;
    begin(id, parsed.data, startAnswers(link, id));
  };
  return {
    message: (envelope) => {
      if (envelope.type.endsWith('_start')) {
        start(envelope);
        return;
      }
      const socket = open.get(idOf(envelope));
      if (envelope.type.endsWith('_close')) {
        socket?.close();
        return;
      }
      const message = messageOf(envelope.payload ?? {});
      if (message === undefined) {
        socket?.leave('unreadable'); // No part of a stream may be missing.
      } else {
        socket?.data(message.opcode, message.payload);
      }
    },
    request: (id, payload, limitMs) => {
      const streamed = payload.supports_response_streaming === true;
      begin(id, payload, requestAnswers(link, id, streamed), limitMs);
    },
    linkFull: () => {
      for (const socket of open.values()) {
        socket.linkFull();
      }
    },
    roomAgain: () => {
      for (const socket of [...open.values()]) {
        socket.roomAgain();
      }
    },
    goAway: () => {
      goingAway = true;
      for (const socket of [...open.values()]) {
        socket.leave('stopping');
      }
    },
    underWay: () => open.size,
    close: () => {
      for (const socket of [...open.values()]) {
        socket.close();
      }
    },
  };
}

function reasonToRefuse(
  open: ReadonlyMap<string, RemoteWebSocket>,
  goingAway: boolean,
  id: string,
): string | undefined {
  if (goingAway) {
    return 'The agent is stopping; ask again';
  }
  if (open.has(id)) {
    return 'This id is in use';
  }
  return open.size >= WEBSOCKETS_MAX ? 'There are too many WebSockets' : undefined;
}

type Answers = Pick<Parameters<typeof remoteWebSocket>[1], 'opened' | 'refused'>;

/** The answers to `proxy_websocket_start`. */
function startAnswers(link: SessionLink, id: string): Answers {
  return {
    opened: () => undefined, // The peer learns it from the first message.
    refused: (status, why) => {
      link.send('proxy_error', { request_id: id, error: `${why} (status: ${status})` }, id);
      link.send('proxy_websocket_close', { request_id: id, stream_id: id }, id);
    },
  };
}

function endAfter(clock: Clock, ms: number | undefined, over: AbortSignal, end: () => void): void {
  if (ms !== undefined) {
    afterwards(clock, ms, over, end);
  }
}

/** The answer to a `proxy_request` that became a WebSocket, or failed to. */
function requestAnswers(
  link: SessionLink,
  id: string,
  streamed: boolean,
): Pick<Parameters<typeof remoteWebSocket>[1], 'opened' | 'refused'> {
  return {
    opened: (head) => {
      const answer: ProxyResponseHeaderPayload = {
        status: head.status,
        headers: groupedHeaders(head.headers),
      };
      link.send(streamed ? 'proxy_response_header' : 'proxy_response', answer, id);
      if (streamed) {
        link.send('proxy_response_end', {}, id);
      }
    },
    refused: (status, why) => {
      if (streamed) {
        link.send('proxy_response_header', { status: status || 502, headers: null }, id);
      }
      link.send(streamed ? 'proxy_response_abort' : 'proxy_error', { error: why }, id);
    },
  };
}

interface ProxyWebSocketStart {
  readonly path: string;
  readonly query: string;
  readonly headers: HeaderList;
  readonly protocol?: string | undefined;
}

function withProtocol(headers: HeaderList, protocol: string | undefined): HeaderList {
  return protocol === undefined || headerOf(headers, 'sec-websocket-protocol') !== undefined
    ? headers
    : [...headers, ['Sec-WebSocket-Protocol', protocol]];
}

/** The id may be in any of three fields. */
function idOf({ payload, request_id: own = '' }: Envelope): string {
  const ids = [payload?.['request_id'], payload?.['stream_id']];
  const given = ids.find((id) => typeof id === 'string' || typeof id === 'number');
  return given === undefined ? own : String(given);
}

/**
 * The opcode is the first byte of the data; where that byte is not an opcode, it is a separate
 * field.
 * @returns undefined where it cannot be read
 */
function messageOf(given: object): { opcode: number; payload: Buffer } | undefined {
  const { data: input } = ProxyWebSocketInputPayload.safeParse(given);
  const bytes = input === undefined ? undefined : decodeBase64(input.data);
  if (input === undefined || bytes === undefined) {
    return undefined;
  }
  const first = bytes[0] ?? 0;
  const opcodes: readonly number[] = [OPCODES.text, OPCODES.binary, OPCODES.ping, OPCODES.pong];
  if (opcodes.includes(first)) {
    return { opcode: first, payload: bytes.subarray(1) };
  }
  return {
    opcode: input.message_type === OPCODES.text ? OPCODES.text : OPCODES.binary,
    payload: bytes,
  };
}
