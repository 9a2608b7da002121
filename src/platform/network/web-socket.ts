/** WebSockets to a server, over streams of bytes that somebody else connects. */
import { networkTrouble } from '../../core/network-trouble.ts';
import type {
  Random,
  WebSocketConnection,
  WebSocketDial,
  WebSocketDialOptions,
  WebSocketEnd,
  WebSocketHandlers,
} from '../../core/ports.ts';
import { troubleOf } from '../../core/trouble.ts';
import {
  ANSWER_HEAD_LIMIT_BYTES,
  encodeRequestHead,
  type HeaderList,
  isNamed,
  parseResponseHead,
  singleHeader,
} from '../../http1/head.ts';
import { HeadBuffer } from '../../http1/head-buffer.ts';
import { headRoom } from '../../http1/head-room.ts';
import { isPage, senderOf } from '../../protocol/intermediary.ts';
import { OPCODES } from '../../websocket/frame.ts';
import { ABNORMAL_CLOSURE, OpenWebSocket } from '../../websocket/open.ts';
import { isUpgradeAnswer, upgradeHeaders, upgradeKey } from '../../websocket/upgrade.ts';
import type { ByteStream } from './byte-stream.ts';

/** How long a socket may take to say goodbye. */
const CLOSE_TIMEOUT_MS = 2_000;
/** Text that is not UTF-8 (RFC 6455 section 8.1). */
const NOT_UTF8 = 1007;
/** Room for the bytes of a text that is sent; longer ones get memory of their own. */
const TEXT_ROOM_BYTES = 16 * 1024;
/** Most bytes of UTF-8 that one character of a string comes to. */
const UTF8_BYTES_MAX = 3;

interface WebSocketDeps {
  readonly connect: (address: URL) => Promise<ByteStream>;
  readonly random: Random;
}

export function webSocketDial(deps: WebSocketDeps): WebSocketDial {
  return (url, options, handlers) => new DialledWebSocket(deps, new URL(url), options, handlers);
}

class DialledWebSocket implements WebSocketConnection {
  readonly #options: WebSocketDialOptions;
  readonly #handlers: WebSocketHandlers;
  readonly #client: OpenWebSocket;
  readonly #key: string;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #textRoom = Buffer.alloc(0);
  #stream: ByteStream | undefined;
  /** What has come of the answer to the upgrade; undefined when it is open. */
  #answer: HeadBuffer | undefined = new HeadBuffer(headRoom(), ANSWER_HEAD_LIMIT_BYTES);
  #lingering: Timer | undefined;
  #over = false;

  constructor(
    deps: WebSocketDeps,
    address: URL,
    options: WebSocketDialOptions,
    handlers: WebSocketHandlers,
  ) {
    const randomBytes = (length: number) => deps.random.bytes(length);
    this.#options = options;
    this.#handlers = handlers;
    this.#key = upgradeKey(randomBytes);
    this.#client = new OpenWebSocket(
      { messageBytesMax: options.messageLimitBytes, randomBytes },
      {
        send: (bytes) => this.#stream?.write(bytes),
        message: (opcode, payload) =>
          opcode === OPCODES.text ? this.#text(payload) : handlers.message(payload),
        ping: () => handlers.heard(),
        pong: (payload) => handlers.heard(payload.toString('latin1')),
        closed: (code, reason) => this.#leave({ code, reason }),
      },
    );
    deps.connect(address).then(
      (stream) => this.#connected(stream, address),
      (thrown: unknown) => {
        const unreachable = networkTrouble(thrown, { ownCa: false, proxy: '' });
        this.#leave({ code: ABNORMAL_CLOSURE, reason: unreachable.why, unreachable });
      },
    );
  }

  send(text: string): void {
    if (this.#answer === undefined) {
      this.#client.send(OPCODES.text, [this.#bytesOf(text)]);
    }
  }

  sendBinary(parts: readonly Uint8Array[]): void {
    if (this.#answer === undefined) {
      this.#client.send(OPCODES.binary, parts);
    }
  }

  /** The bytes are overwritten by the next text. */
  #bytesOf(text: string): Uint8Array {
    if (text.length * UTF8_BYTES_MAX > TEXT_ROOM_BYTES) {
      return Buffer.from(text, 'utf8');
    }
    if (this.#textRoom.length === 0) {
      this.#textRoom = Buffer.allocUnsafeSlow(TEXT_ROOM_BYTES);
    }
    return this.#textRoom.subarray(0, this.#textRoom.write(text, 'utf8'));
  }

  ping(mark = ''): void {
    if (this.#answer === undefined) {
      this.#client.send(OPCODES.ping, [Buffer.from(mark, 'latin1')]);
    }
  }

  close(code: number, reason: string): void {
    if (this.#answer === undefined) {
      this.#client.close(code, reason);
    } else {
      this.#leave({ code: ABNORMAL_CLOSURE, reason: 'given up' });
    }
  }

  terminate(): void {
    this.#client.ended('given up');
    this.#stream?.destroy();
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  bufferedBytes(): number {
    return this.#stream?.unsentBytes() ?? 0;
  }

  #connected(stream: ByteStream, address: URL): void {
    if (this.#over) {
      stream.destroy();
      return;
    }
    this.#stream = stream;
    stream.start({
      data: (chunk) => this.#received(chunk),
      closed: (reason) => {
        clearTimeout(this.#lingering);
        this.#stream = undefined; // Nobody has to wait for its end any more.
        this.#client.ended(reason);
      },
    });
    const { protocols = [] } = this.#options;
    try {
      const head = encodeRequestHead('GET', `${address.pathname}${address.search}`, [
        ['Host', address.host],
        ...upgradeHeaders(this.#key),
        ...(protocols.length === 0
          ? []
          : [['Sec-WebSocket-Protocol', protocols.join(', ')] as const]),
        ...Object.entries(this.#options.headers),
      ]);
      stream.write(head);
    } catch (thrown) {
      this.#leave({ code: ABNORMAL_CLOSURE, reason: troubleOf(thrown) });
    }
  }

  #received(chunk: Buffer): void {
    if (this.#answer === undefined) {
      this.#client.received(chunk);
      if (this.#client.isWithinMessage()) {
        this.#handlers.part?.();
      }
    } else if (!this.#over) {
      this.#readAnswer(this.#answer, chunk);
    }
  }

  #readAnswer(begun: HeadBuffer, chunk: Buffer): void {
    const taken = begun.take(chunk);
    if (taken === 'not whole') {
      return;
    }
    if (typeof taken === 'string') {
      this.#leave(unreadable('its head is too long'));
      return;
    }
    const answer = upgradeAnswer(taken.head, this.#key);
    if ('protocol' in answer) {
      this.#answer = undefined;
      this.#handlers.opened(answer.protocol);
      if (taken.behind !== undefined) {
        this.#client.received(taken.behind);
      }
    } else {
      this.#leave(answer);
    }
  }

  #text(payload: Buffer): void {
    let text: string;
    try {
      text = this.#utf8.decode(payload);
    } catch {
      this.#client.close(NOT_UTF8, 'text that is not UTF-8');
      return;
    }
    this.#handlers.message(text);
  }

  /** Reports the end, and gives the socket a moment to send what is left. */
  #leave(end: WebSocketEnd): void {
    if (this.#over) {
      return;
    }
    this.#over = true;
    const stream = this.#stream;
    if (stream !== undefined) {
      this.#lingering = setTimeout(() => stream.destroy(), CLOSE_TIMEOUT_MS);
      stream.end();
    }
    this.#handlers.closed(end);
  }
}

function headerOf(headers: HeaderList, lowerName: string): string | undefined {
  return headers.find(([name]) => isNamed(name, lowerName))?.[1];
}

function pageBy(headers: HeaderList): string | undefined {
  const header = (lowerName: string) => headerOf(headers, lowerName);
  return isPage(header('content-type'), '') ? senderOf(header) : undefined;
}

/** @param head of the answer. @returns the subprotocol that the server chose, '' for none; or why there is no WebSocket */
function upgradeAnswer(head: string, key: string): { readonly protocol: string } | WebSocketEnd {
  try {
    const answer = parseResponseHead(head);
    if (answer.status !== 101) {
      return {
        code: ABNORMAL_CLOSURE,
        reason: `the upgrade was answered ${answer.status}`,
        rejection: {
          status: answer.status,
          retryAfter: headerOf(answer.headers, 'retry-after'),
          pageBy: pageBy(answer.headers),
        },
      };
    }
    if (!isUpgradeAnswer(answer, key)) {
      throw new Error('it is not one to this request');
    }
    return { protocol: singleHeader(answer.headers, 'sec-websocket-protocol') ?? '' };
  } catch (thrown) {
    return unreadable(troubleOf(thrown));
  }
}

function unreadable(why: string): WebSocketEnd {
  return {
    code: ABNORMAL_CLOSURE,
    reason: `the answer to the upgrade cannot be read: ${why}`,
  };
}
