/** The WebSocket side for agents: who may connect, and what is done with each message. */
import type { Server, ServerWebSocket, WebSocketHandler } from 'bun';
import { z } from 'zod';
import {
  AGENT_MESSAGE_LIMIT_BYTES,
  CLOSE_CODES,
  MESSAGE_LIMIT_BYTES,
  WEBSOCKET_PATH,
} from '../../../src/protocol/session/messages.ts';
import { isLetIn } from './agent-api.ts';
import { type Conversation, converse } from './conversation.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import { parsed } from './envelope.ts';
import type { Fault, Faults } from './faults.ts';
import { gatheredSends } from './gathered-sends.ts';
import { troubledMessages } from './message-faults.ts';
import type { Line } from './request-faults.ts';

/** Bytes that may wait for one slow agent; more ends its connection. */
const BACKLOG_LIMIT_BYTES = 4 * MESSAGE_LIMIT_BYTES;
/** Seconds without anything from an agent until its connection is given up. */
const IDLE_SECONDS = 60;

const GATEWAY_QUERY = {
  supports_streaming: 'true',
  supports_binary: 'true',
  supports_websocket: 'true',
  supports_yamux: 'true',
  supports_response_streaming: 'true',
} as const;

export interface SocketData {
  readonly kind: 'controller' | 'gateway';
  readonly clusterUuid: string;
  readonly line: Line;
  conversation?: Conversation;
  /** What came, through the trouble that is asked for. */
  receive?: (type: () => string, text: string) => void;
}

export interface AgentSocketDeps extends ConversationDeps {
  /** Those that it takes. */
  readonly tokens: ReadonlySet<string>;
  readonly faults: Faults;
}

/** @returns the answer, undefined when the connection is a WebSocket now */
export function upgrade(
  deps: AgentSocketDeps,
  server: Server<SocketData>,
  request: Request,
  line: Line,
): Response | undefined {
  const url = new URL(request.url);
  const kind = url.pathname === WEBSOCKET_PATH ? 'controller' : 'gateway';
  if (!deps.dialect.websocket || (kind === 'gateway' && !deps.dialect.gateway)) {
    return Response.json({ error: 'no such call' }, { status: 404 });
  }
  if (!isLetIn(request, deps.tokens)) {
    return Response.json({ error: 'invalid token' }, { status: 401 });
  }
  const clusterUuid = url.searchParams.get('cluster_uuid') ?? '';
  if (kind === 'gateway') {
    const agentId = deps.store.agentOfCluster(clusterUuid)?.id ?? '';
    for (const problem of gatewayQueryProblems(url)) {
      deps.store.problem(agentId, `dial of the gateway: ${problem}`);
    }
  }
  const data: SocketData = { kind, clusterUuid, line };
  return server.upgrade(request, { data })
    ? undefined
    : Response.json({ error: 'this path is a WebSocket' }, { status: 426 });
}

function gatewayQueryProblems(url: URL): readonly string[] {
  const problems = Object.entries(GATEWAY_QUERY)
    .filter(([name, value]) => url.searchParams.get(name) !== value)
    .map(([name, value]) => `${name} is not ${value}`);
  for (const name of ['cluster_uuid', 'agent_version']) {
    if ((url.searchParams.get(name) ?? '') === '') {
      problems.push(`${name} is missing`);
    }
  }
  return problems;
}

export function webSocketHandler(deps: AgentSocketDeps): WebSocketHandler<SocketData> {
  return {
    // Above the protocol's limit, so that what is too long is seen here and closed with its code.
    maxPayloadLength: 2 * AGENT_MESSAGE_LIMIT_BYTES,
    backpressureLimit: BACKLOG_LIMIT_BYTES,
    closeOnBackpressureLimit: true,
    idleTimeout: IDLE_SECONDS,
    perMessageDeflate: false,
    open: (socket) => open(deps, socket),
    message: (socket, message) => {
      const { conversation } = socket.data;
      if (Buffer.byteLength(message) > AGENT_MESSAGE_LIMIT_BYTES) {
        conversation?.problem(`a message of ${Buffer.byteLength(message)} bytes`);
        socket.close(CLOSE_CODES.messageTooBig, 'message too big');
      } else if (typeof message === 'string') {
        socket.data.receive?.(() => typeOf(message), message);
      } else {
        conversation?.binary(message);
      }
      deps.changed();
    },
    close: (socket, code) => {
      socket.data.conversation?.closed(code);
      deps.changed();
    },
  };
}

function open(deps: AgentSocketDeps, socket: ServerWebSocket<SocketData>): void {
  const { kind, clusterUuid, line } = socket.data;
  const refuse = (fault: Fault, text: string) => {
    const again = fault.retry_after_seconds;
    const id = MessageHead.safeParse(parsed(text)).data?.request_id;
    conversation.send(
      'error',
      { error: fault.error, ...(again === undefined ? {} : { retry_after_seconds: again }) },
      id,
    );
  };
  const gathered = gatheredSends(socket);
  const send = troubledMessages({
    faults: deps.faults,
    line,
    direction: 'out',
    refuse,
    pass: gathered.send,
  });
  const conversation = converse(deps, {
    kind,
    clusterUuid,
    send: (type, text) => {
      send(() => type, text);
      return socket.readyState === WebSocket.OPEN;
    },
    sendBinary: (data) => {
      gathered.flush();
      return socket.sendBinary(data) !== 0;
    },
    close: (code, reason) => {
      gathered.flush();
      socket.close(code, reason);
    },
  });
  socket.data.conversation = conversation;
  socket.data.receive = troubledMessages({
    faults: deps.faults,
    line,
    direction: 'in',
    refuse,
    pass: (text) => conversation.message(text),
  });
  conversation.opened();
}

/** As much as trouble needs to know of a message. */
const MessageHead = z.looseObject({ type: z.string(), request_id: z.string().optional() });

function typeOf(text: string): string {
  return MessageHead.safeParse(parsed(text)).data?.type ?? '';
}
