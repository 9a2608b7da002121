/** An open WebSocket, without the socket (RFC 6455). */
import {
  FrameEncoder,
  MESSAGE_TOO_BIG,
  type MessageOpcode,
  OPCODES,
  PROTOCOL_ERROR,
} from './frame.ts';
import { WebSocketReader } from './reader.ts';
import { SERVER_ENCODER } from './server-frame.ts';

/** Without a close frame (RFC 6455 section 7.4.1). */
export const ABNORMAL_CLOSURE = 1006;
/** A close frame without a code. */
const NO_CODE = 1005;
/** Longest reason of a close frame, bytes (RFC 6455 section 5.5.1). */
const REASON_BYTES_MAX = 123;
/** Pieces of one message; the usual ones have 4 KiB and more. */
const PIECES_MAX = 16_384;

export interface OpenWebSocketOptions {
  /** A larger message closes the connection with 1009. */
  readonly messageBytesMax: number;
  /** A client masks by it what it sends; cryptographically strong. A server has none, and masks nothing. */
  readonly randomBytes?: (length: number) => Uint8Array;
}

export interface OpenWebSocketHandlers {
  /** Bytes for the other side; those of a client are overwritten when it has returned. */
  readonly send: (bytes: Uint8Array) => void;
  /** Copy the payload to keep it. */
  message(opcode: MessageOpcode, payload: Buffer): void;
  ping(): void;
  pong(payload: Buffer): void;
  /** Once, and last. @param code of the close frame that came, or was sent */
  closed(code: number, reason: string): void;
}

export class OpenWebSocket {
  readonly #options: OpenWebSocketOptions;
  readonly #handlers: OpenWebSocketHandlers;
  readonly #reader: WebSocketReader;
  readonly #encoder: Pick<FrameEncoder, 'encode'>;
  /** The pieces of a message that comes in several frames. */
  #pieces: Buffer[] = [];
  #piecesBytes = 0;
  #piecesOpcode: MessageOpcode | undefined;
  #closed = false;

  constructor(options: OpenWebSocketOptions, handlers: OpenWebSocketHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const { messageBytesMax, randomBytes } = options;
    this.#reader = new WebSocketReader(
      messageBytesMax,
      randomBytes === undefined ? 'client' : 'server',
    );
    this.#encoder = randomBytes === undefined ? SERVER_ENCODER : new FrameEncoder(randomBytes);
  }

  /** One message of all parts, which may be reused after it returned. Nothing is sent when it is closed. */
  send(opcode: number, payload: readonly Uint8Array[]): void {
    if (!this.#closed) {
      this.#encoder.encode(opcode, payload, this.#handlers.send);
    }
  }

  /** Sends the close frame; what comes after it is ignored. */
  close(code: number, reason = ''): void {
    const text = Buffer.from(reason).subarray(0, REASON_BYTES_MAX);
    const payload = Buffer.alloc(2 + text.length);
    payload.writeUInt16BE(code);
    payload.set(text, 2);
    this.send(OPCODES.close, [payload]);
    this.#finish(code, reason);
  }

  /** The bytes may be reused when it has returned. */
  received(bytes: Buffer): void {
    if (this.#closed) {
      return;
    }
    this.#reader.feed(bytes);
    while (!this.#closed) {
      const read = this.#reader.next();
      if (read.kind === 'incomplete') {
        return;
      }
      if (read.kind === 'invalid') {
        this.close(read.code, read.reason);
        return;
      }
      this.#take(read.frame.opcode, read.frame.final, read.frame.payload);
    }
  }

  /** A message has begun whose end has not come. */
  isWithinMessage(): boolean {
    return this.#reader.isWithinFrame() || this.#piecesOpcode !== undefined;
  }

  /** The connection is gone. */
  ended(reason = ''): void {
    this.#finish(ABNORMAL_CLOSURE, reason);
  }

  #take(opcode: number, final: boolean, payload: Buffer): void {
    switch (opcode) {
      case OPCODES.ping:
        this.send(OPCODES.pong, [payload]);
        this.#handlers.ping();
        return;
      case OPCODES.pong:
        this.#handlers.pong(payload);
        return;
      case OPCODES.close:
        this.send(OPCODES.close, [payload.subarray(0, 2)]);
        this.#finish(
          payload.length >= 2 ? payload.readUInt16BE(0) : NO_CODE,
          payload.toString('utf8', 2),
        );
        return;
      default:
        this.#takeData(opcode, final, payload);
    }
  }

  #takeData(opcode: number, final: boolean, payload: Buffer): void {
    const begins = opcode !== OPCODES.continuation;
    if (begins === (this.#piecesOpcode !== undefined)) {
      this.close(PROTOCOL_ERROR, 'a piece of no message, or a message within another');
      return;
    }
    const messageOpcode =
      this.#piecesOpcode ?? (opcode === OPCODES.text ? OPCODES.text : OPCODES.binary);
    if (begins && final) {
      this.#handlers.message(messageOpcode, payload);
      return;
    }
    this.#pieces.push(Buffer.from(payload));
    this.#piecesBytes += payload.length;
    this.#piecesOpcode = messageOpcode;
    const { messageBytesMax } = this.#options;
    if (this.#piecesBytes > messageBytesMax || this.#pieces.length > PIECES_MAX) {
      this.close(MESSAGE_TOO_BIG, 'a message that is too long');
    } else if (final) {
      const message = Buffer.concat(this.#pieces);
      this.#pieces = [];
      this.#piecesBytes = 0;
      this.#piecesOpcode = undefined;
      this.#handlers.message(messageOpcode, message);
    }
  }

  #finish(code: number, reason: string): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#pieces = [];
      this.#handlers.closed(code, reason);
    }
  }
}
