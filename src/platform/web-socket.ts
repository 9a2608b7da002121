import type { Socket } from 'node:net';
import WebSocket from 'ws';
import { messageOf } from '../core/errors.ts';
import type {
  WebSocketConnection,
  WebSocketDial,
  WebSocketEnd,
  WebSocketHandlers,
} from '../core/ports.ts';

/** Without a close frame (RFC 6455 section 7.4.1). */
const ABNORMAL_CLOSURE = 1006;

/** WebSockets of `ws` over sockets that `connect` makes: it tells the status of a refused upgrade. */
export function webSocketDial(connect: (address: URL) => Promise<Socket>): WebSocketDial {
  return (url, options, handlers) => {
    let socket: WebSocket | undefined;
    let over = false;
    const finish = (end: WebSocketEnd) => {
      if (!over) {
        over = true;
        handlers.closed(end);
      }
    };
    const start = async () => {
      const raw = await connect(new URL(url));
      if (over) {
        raw.destroy();
        return;
      }
      socket = new WebSocket(url, [...(options.protocols ?? [])], {
        headers: { ...options.headers },
        perMessageDeflate: false,
        maxPayload: options.messageLimitBytes,
        createConnection: () => raw,
      });
      listen(socket, handlers, finish);
    };
    start().catch((thrown: unknown) =>
      finish({ code: ABNORMAL_CLOSURE, reason: messageOf(thrown), unreachable: true }),
    );
    return connectionOf(
      () => socket,
      () => finish({ code: ABNORMAL_CLOSURE, reason: 'given up' }),
    );
  };
}

function listen(
  socket: WebSocket,
  handlers: WebSocketHandlers,
  finish: (end: WebSocketEnd) => void,
): void {
  let failure: string | undefined;
  socket.on('open', () => handlers.opened(socket.protocol));
  socket.on('message', (data, isBinary) => {
    const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
    handlers.message(isBinary ? bytes : bytes.toString('utf8'));
  });
  socket.on('ping', () => handlers.heard());
  socket.on('pong', (data) => handlers.heard(data.toString('latin1')));
  socket.on('unexpected-response', (request, response) => {
    finish({
      code: ABNORMAL_CLOSURE,
      reason: `the upgrade was answered ${response.statusCode}`,
      refusal: { status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] },
    });
    request.destroy();
  });
  socket.on('error', (error) => {
    failure ??= error.message;
  });
  socket.on('close', (code, reason) => {
    finish({ code, reason: failure ?? reason.toString('utf8') });
  });
}

function connectionOf(
  socket: () => WebSocket | undefined,
  giveUp: () => void,
): WebSocketConnection {
  const open = () => (socket()?.readyState === WebSocket.OPEN ? socket() : undefined);
  return {
    send: (data) => open()?.send(data),
    ping: (mark = '') => open()?.ping(mark),
    close: (code, reason) => {
      if (open() === undefined) {
        giveUp();
      }
      socket()?.close(code, reason);
    },
    terminate: () => {
      giveUp();
      socket()?.terminate();
    },
    bufferedBytes: () => socket()?.bufferedAmount ?? 0,
  };
}
