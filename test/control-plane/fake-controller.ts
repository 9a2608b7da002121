/** A control plane of one test: it does exactly what the test says, also what is wrong. */
import type { Server, ServerWebSocket } from 'bun';
import { WEBSOCKET_PATH } from '../../src/protocol/session/messages.ts';
import { waitUntil } from '../vm/wait-until.ts';

export interface Message {
  readonly type: string;
  readonly request_id?: string;
  readonly payload: Record<string, unknown>;
}

export interface Peer {
  readonly path: string;
  readonly query: string;
  readonly authorization: string | null;
  readonly received: Message[];
  closeCode: number | undefined;
  say(type: string, payload: unknown, requestId?: string): void;
  raw(data: string | Uint8Array): void;
  close(code: number): void;
  terminate(): void;
  /** The first message of this type that has not been waited for. */
  next(type: string): Promise<Message>;
}

export interface FakeControllerOptions {
  readonly port?: number;
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Decides about a request before it becomes a WebSocket. */
  readonly http?: (request: Request) => Response | undefined | Promise<Response | undefined>;
  /** What comes; register is answered with success when absent. */
  readonly message?: (peer: Peer, message: Message) => void;
}

const TIMEOUT_MS = 10_000;

export interface FakeController extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly peers: readonly Peer[];
  /** Paths of plain requests, in order. */
  readonly requests: readonly string[];
  /** The connection with this number, from 0, once it is there. */
  peer(index: number): Promise<Peer>;
}

export const SUCCESS = { cluster_id: 'cluster-1', cluster_uuid: 'uuid-1', status: 'registered' };

export function answerRegister(extra: Record<string, unknown> = {}) {
  return (peer: Peer, message: Message): void => {
    if (message.type === 'register') {
      peer.say('register_success', { ...SUCCESS, ...extra }, message.request_id);
    } else if (message.type === 'heartbeat') {
      peer.say('heartbeat_ack', {});
    }
  };
}

export function startFakeController(options: FakeControllerOptions = {}): FakeController {
  const peers: Peer[] = [];
  const requests: string[] = [];
  const onMessage = options.message ?? answerRegister();
  const server: Server<{ peer: Peer | undefined; request: Request }> = Bun.serve({
    hostname: '127.0.0.1',
    port: options.port ?? 0,
    development: false,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    fetch: async (request, self) => {
      const { pathname } = new URL(request.url);
      const answer = await options.http?.(request);
      if (answer !== undefined) {
        requests.push(`${request.method} ${pathname}`);
        return answer;
      }
      if (self.upgrade(request, { data: { peer: undefined, request } })) {
        return undefined;
      }
      requests.push(`${request.method} ${pathname}`);
      return new Response('', { status: 404 });
    },
    websocket: {
      maxPayloadLength: 64 * 1024 * 1024,
      open: (socket) => {
        socket.data.peer = peerOf(socket, socket.data.request);
        peers.push(socket.data.peer);
      },
      message: (socket, data) => {
        if (typeof data !== 'string') {
          return;
        }
        const message = JSON.parse(data) as Message;
        socket.data.peer?.received.push(message);
        if (socket.data.peer !== undefined) {
          onMessage(socket.data.peer, message);
        }
      },
      close: (socket, code) => {
        if (socket.data.peer !== undefined) {
          socket.data.peer.closeCode = code;
        }
      },
    },
  });
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${server.port}`,
    port: server.port ?? 0,
    peers,
    requests,
    peer: (index) =>
      waitUntil(`connection ${index} is there`, TIMEOUT_MS, async () => peers[index]),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function peerOf(
  socket: ServerWebSocket<{ peer: Peer | undefined; request: Request }>,
  request: Request,
): Peer {
  const { pathname, search } = new URL(request.url);
  const received: Message[] = [];
  const taken = new Set<Message>();
  return {
    path: pathname,
    query: search,
    authorization: request.headers.get('authorization'),
    received,
    closeCode: undefined,
    say: (type, payload, requestId) =>
      void socket.send(
        JSON.stringify({
          type,
          request_id: requestId,
          payload,
          timestamp: new Date().toISOString(),
        }),
      ),
    raw: (data) => void socket.send(data),
    close: (code) => socket.close(code, ''),
    terminate: () => socket.terminate(),
    next: (type) =>
      waitUntil(`a message "${type}" comes`, TIMEOUT_MS, async () => {
        const found = received.find((each) => each.type === type && !taken.has(each));
        if (found !== undefined) {
          taken.add(found);
        }
        return found;
      }),
  };
}

/** Serves everything but the WebSocket's path with this. */
export function besideWebSocket(
  answer: (pathname: string, request: Request) => Response,
): (request: Request) => Response | undefined {
  return (request) => {
    const { pathname } = new URL(request.url);
    return pathname === WEBSOCKET_PATH || pathname === '/ws'
      ? undefined
      : answer(pathname, request);
  };
}
