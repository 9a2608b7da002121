/**
 * WebSockets through the session, as the existing control plane speaks them. The agent is the
 * WebSocket client of an application or of the Kubernetes API; each message crosses the session as
 * base64 of one byte opcode (1 text, 2 binary) and its payload, in order.
 */
import type { SessionLink } from '../control-plane/session/ports.ts';
import type { Random } from '../core/ports.ts';
import type { HeaderList, ResponseHead } from '../http1/head.ts';
import type { ProxyCall } from '../http1/server/call.ts';
import type { ProxyWebSocketDataPayload } from '../protocol/session/proxy.ts';
import { type ForwardDeps, forward } from '../proxy/forward.ts';
import { type MessageOpcode, OPCODES } from '../websocket/frame.ts';
import { OpenWebSocket } from '../websocket/open.ts';
import { isUpgradeAnswer, upgradeHeaders, upgradeKey } from '../websocket/upgrade.ts';
import { headerOf } from './destination.ts';

/** Largest message of the application, bytes: as base64 it must fit into one of the session's. */
const MESSAGE_BYTES_MAX = 2 * 1024 * 1024;
/** Bytes from the peer that may wait for a slow application before the WebSocket is closed. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024;
/** Messages from the peer that may come before it is open; their bytes have the limit above. */
const EARLY_MESSAGES_MAX = 1_024;
/** RFC 6455 section 7.4.1 and the IANA registry of close codes. */
const TRY_AGAIN_LATER = 1013;
const GOING_AWAY = 1001;
const UNSUPPORTED_DATA = 1003;

/** Offered for a peer that names no subprotocol, on paths of exec, attach and port-forward. */
const CHANNEL_PROTOCOLS = 'v4.channel.k8s.io, v3.channel.k8s.io, v2.channel.k8s.io, channel.k8s.io';
const CHANNEL_PATH = /\/(exec|attach|portforward)$/;
/** First byte of a message of a channel protocol (kubernetes.io, "channel.k8s.io"). */
const STDIN_CHANNEL = 0;
const LAST_TEXT_CHANNEL = 3;

export interface RemoteWebSocketOptions {
  readonly id: string;
  readonly link: SessionLink;
  /** Path and query. */
  readonly target: string;
  readonly headers: HeaderList;
  /** Tells the peer that it is open; a Kubernetes stream has no message for that. */
  readonly opened: (head: ResponseHead) => void;
  /**
   * It was not opened.
   * @param status of the answer; 0 when there was none
   */
  readonly refused: (status: number, why: string) => void;
  readonly isFull: () => boolean;
  readonly over: () => void;
}

/** Why the agent ends a WebSocket. unreadable: the peer sent something that cannot be read. */
export type EndReason = 'stopping' | 'timeout' | 'unreadable';

const END_REASONS: Readonly<Record<EndReason, { readonly code: number; readonly text: string }>> = {
  stopping: { code: GOING_AWAY, text: 'The agent is stopping; ask again' },
  timeout: { code: GOING_AWAY, text: 'The request took longer than its timeout' },
  unreadable: { code: UNSUPPORTED_DATA, text: 'A message of the peer cannot be read' },
};

export interface RemoteWebSocket {
  /** A message of the peer: opcode and payload. */
  data(opcode: number, payload: Buffer): void;
  /** The peer closes it, or is gone. */
  close(): void;
  /** The agent ends it, and both sides are told. */
  leave(why: EndReason): void;
  /** The connection is full: nothing more may go out until `roomAgain`. */
  linkFull(): void;
  roomAgain(): void;
}

/** Opens a WebSocket. Exactly one of `opened` and `refused` is called; `over` comes last. */
export function remoteWebSocket(
  deps: { readonly random: Random; readonly proxy: ForwardDeps },
  options: RemoteWebSocketOptions,
): RemoteWebSocket {
  return new Bridged(deps, options);
}

class Bridged implements RemoteWebSocket {
  readonly #options: RemoteWebSocketOptions;
  readonly #socket: OpenWebSocket;
  readonly #call: ProxyCall;
  /** The peer knows no channels: its text is standard input, and it gets text. */
  readonly #withoutChannels: boolean;
  #channels = false;
  #isOpen = false;
  #over = false;
  #waitingBytes = 0;
  readonly #early: { readonly opcode: number; readonly payload: Buffer }[] = [];
  #earlyBytes = 0;
  #rejection: { status: number; text: string } | undefined;
  #paused = false;

  constructor(
    deps: { readonly random: Random; readonly proxy: ForwardDeps },
    options: RemoteWebSocketOptions,
  ) {
    this.#options = options;
    const randomBytes = (length: number) => deps.random.bytes(length);
    const key = upgradeKey(randomBytes);
    const path = options.target.split('?')[0] ?? '';
    const isNamed = headerOf(options.headers, 'sec-websocket-protocol') !== undefined;
    // The existing control plane names a protocol but knows no channels, except for port-forward.
    const knowsChannels = isNamed && (options.link.windowed || path.endsWith('/portforward'));
    this.#withoutChannels = CHANNEL_PATH.test(path) && !knowsChannels;
    this.#socket = new OpenWebSocket(
      { messageBytesMax: MESSAGE_BYTES_MAX, randomBytes },
      {
        send: (bytes) => this.#toApplication(Buffer.from(bytes)),
        message: (opcode, payload) => this.#toPeer(opcode, payload),
        ping: () => undefined,
        pong: () => undefined,
        closed: () => this.#closedByApplication(),
      },
    );
    this.#call = forward(
      deps.proxy,
      {
        method: 'GET',
        target: options.target,
        headers: headersOf(options.headers, key, CHANNEL_PATH.test(path) && !isNamed),
        client: 'control-plane',
      },
      {
        head: (head) => this.#head(head, key),
        data: (chunk) => this.#fromApplication(chunk),
        end: () => this.#ended(),
        fail: (error) => this.#fail(0, error.message),
        drained: () => {
          this.#waitingBytes = 0;
        },
      },
    );
  }

  data(opcode: number, payload: Buffer): void {
    if (!this.#isOpen) {
      this.#keep(opcode, payload);
      return;
    }
    const isInput = this.#channels && this.#withoutChannels && opcode === OPCODES.text;
    if (isInput) {
      this.#socket.send(OPCODES.binary, [Buffer.of(STDIN_CHANNEL), payload]);
    } else {
      this.#socket.send(opcode, [payload]);
    }
  }

  /** No message tells a peer that a stream of Kubernetes is open, so it may send before that. */
  #keep(opcode: number, payload: Buffer): void {
    this.#early.push({ opcode, payload });
    this.#earlyBytes += payload.length;
    if (this.#earlyBytes > WAITING_BYTES_MAX || this.#early.length > EARLY_MESSAGES_MAX) {
      this.#fail(0, 'Too much came before the WebSocket was open');
    }
  }

  close(): void {
    this.#socket.close(GOING_AWAY);
    this.#finish();
  }

  leave(why: EndReason): void {
    const { code, text } = END_REASONS[why];
    if (this.#isOpen) {
      this.#socket.close(code);
      this.#finish();
    } else {
      this.#fail(0, text);
    }
  }

  linkFull(): void {
    this.#paused = true;
    this.#call.pause();
  }

  roomAgain(): void {
    if (this.#paused && !this.#options.isFull()) {
      this.#paused = false;
      this.#call.resume();
    }
  }

  #head(head: ResponseHead, key: string): void {
    if (head.status !== 101) {
      this.#rejection = { status: head.status, text: '' };
      return;
    }
    if (!isUpgradeAnswer(head, key)) {
      this.#fail(0, 'It answered the upgrade of somebody else');
      return;
    }
    const protocol = headerOf(head.headers, 'sec-websocket-protocol') ?? '';
    this.#channels = /(^|\.)channel\.k8s\.io$/.test(protocol);
    this.#isOpen = true;
    this.#options.opened(head);
    for (const { opcode, payload } of this.#early.splice(0)) {
      this.data(opcode, payload);
    }
  }

  #fromApplication(chunk: Buffer): void {
    if (this.#isOpen) {
      this.#socket.received(chunk);
    } else if (this.#rejection !== undefined) {
      this.#rejection.text = `${this.#rejection.text}${chunk.toString('utf8')}`.slice(0, 1_000);
    }
  }

  #toApplication(bytes: Uint8Array): void {
    this.#waitingBytes = this.#call.write(bytes) ? 0 : this.#waitingBytes + bytes.length;
    if (this.#waitingBytes > WAITING_BYTES_MAX) {
      const { link, id } = this.#options;
      link.send('backpressure', { request_id: id, reason: 'channel_full' }, id);
      this.#socket.close(TRY_AGAIN_LATER);
    }
  }

  #toPeer(opcode: MessageOpcode, payload: Buffer): void {
    const { link, id } = this.#options;
    const channel = payload[0] ?? 0;
    const asText = this.#channels && this.#withoutChannels && channel <= LAST_TEXT_CHANNEL;
    const sent = asText
      ? Buffer.concat([Buffer.of(OPCODES.text), payload.subarray(1)])
      : Buffer.concat([Buffer.of(opcode), payload]);
    const message: ProxyWebSocketDataPayload = {
      request_id: id,
      stream_id: id,
      data: sent.toString('base64'),
      message_type: asText ? OPCODES.text : opcode,
    };
    link.send('proxy_websocket_data', message, id);
    if (this.#options.isFull()) {
      this.linkFull();
    }
  }

  #closedByApplication(): void {
    if (this.#isOpen && !this.#over) {
      const { link, id } = this.#options;
      link.send('proxy_websocket_close', { request_id: id, stream_id: id }, id);
    }
    this.#finish();
  }

  #ended(): void {
    if (this.#isOpen) {
      this.#socket.ended();
    } else {
      const { status, text } = this.#rejection ?? { status: 0, text: '' };
      this.#fail(status, text);
    }
  }

  #fail(status: number, why: string): void {
    if (this.#isOpen) {
      this.#socket.ended();
    } else if (!this.#over) {
      this.#options.refused(status, why);
    }
    this.#finish();
  }

  #finish(): void {
    if (!this.#over) {
      this.#over = true;
      this.#call?.abort();
      this.#options.over();
    }
  }
}

function headersOf(headers: HeaderList, key: string, withChannels: boolean): HeaderList {
  const own = ['connection', 'upgrade', 'sec-websocket-key', 'sec-websocket-version'];
  const others = headers.filter(([name]) => {
    const lower = name.toLowerCase();
    // Extensions would have to be understood here, so none are asked for.
    return !own.includes(lower) && lower !== 'sec-websocket-extensions';
  });
  return [
    ...others,
    ...(withChannels ? [['Sec-WebSocket-Protocol', CHANNEL_PROTOCOLS] as const] : []),
    ...upgradeHeaders(key),
  ];
}
