/** A WebSocket of our side over the bytes of an upgraded request. */
import { createHash } from 'node:crypto';
import type { Random } from '../core/ports.ts';
import {
  decodeFrame,
  encodeFrame,
  type MessageOpcode,
  OPCODES,
} from '../protocol/websocket-frame.ts';

/** Largest message of the other side, bytes: it must fit into one of the session's as base64. */
export const UPGRADED_MESSAGE_BYTES_MAX = 2 * 1024 * 1024;
/** RFC 6455 section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KEY_BYTES = 16;
const MASK_BYTES = 4;
/** Without a close frame (RFC 6455 section 7.4.1). */
const ABNORMAL_CLOSURE = 1006;
const PROTOCOL_ERROR = 1002;

export interface UpgradedWebSocketHandlers {
  message(opcode: MessageOpcode, payload: Buffer): void;
  /** Once, and last. */
  closed(code: number): void;
  /** Bytes for the other side. */
  send(bytes: Uint8Array): void;
}

/** The headers that ask for the upgrade; `key` proves the answer to be one to them. */
export function upgradeRequest(random: Random): { readonly key: string } {
  return { key: Buffer.from(random.bytes(KEY_BYTES)).toString('base64') };
}

export function isAnswerTo(key: string, accept: string | undefined): boolean {
  return accept === createHash('sha1').update(`${key}${ACCEPT_SUFFIX}`).digest('base64');
}

export class UpgradedWebSocket {
  readonly #random: Random;
  readonly #handlers: UpgradedWebSocketHandlers;
  #bytes: Buffer = Buffer.alloc(0);
  /** The pieces of a message that comes in several frames. */
  #pieces: Buffer[] = [];
  #piecesOpcode: MessageOpcode | undefined;
  #closed = false;

  constructor(random: Random, handlers: UpgradedWebSocketHandlers) {
    this.#random = random;
    this.#handlers = handlers;
  }

  send(opcode: number, payload: Uint8Array): void {
    if (!this.#closed) {
      this.#handlers.send(encodeFrame(opcode, payload, this.#random.bytes(MASK_BYTES)));
    }
  }

  /** Says goodbye; what comes behind is not listened to any more. */
  close(code: number): void {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.send(OPCODES.close, payload);
    this.#finish(code);
  }

  received(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    while (!this.#closed) {
      const decoded = decodeFrame(this.#bytes, UPGRADED_MESSAGE_BYTES_MAX);
      if (decoded.kind === 'incomplete') {
        return;
      }
      if (decoded.kind === 'invalid') {
        this.close(PROTOCOL_ERROR);
        return;
      }
      this.#bytes = this.#bytes.subarray(decoded.size);
      this.#take(decoded.frame.opcode, decoded.frame.final, decoded.frame.payload);
    }
  }

  /** The connection is gone. */
  ended(): void {
    this.#finish(ABNORMAL_CLOSURE);
  }

  #take(opcode: number, final: boolean, payload: Buffer): void {
    switch (opcode) {
      case OPCODES.ping:
        this.send(OPCODES.pong, payload);
        return;
      case OPCODES.pong:
        return;
      case OPCODES.close:
        this.close(payload.length >= 2 ? payload.readUInt16BE(0) : 1000);
        return;
      default:
        this.#takeData(opcode, final, payload);
    }
  }

  #takeData(opcode: number, final: boolean, payload: Buffer): void {
    const begins = opcode !== OPCODES.continuation;
    if (begins === (this.#piecesOpcode !== undefined)) {
      this.close(PROTOCOL_ERROR); // A piece of nothing, or a beginning before an end.
      return;
    }
    this.#piecesOpcode ??= opcode === OPCODES.text ? OPCODES.text : OPCODES.binary;
    this.#pieces.push(payload);
    const length = this.#pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (length > UPGRADED_MESSAGE_BYTES_MAX) {
      this.close(1009);
    } else if (final) {
      const message = this.#pieces.length === 1 ? payload : Buffer.concat(this.#pieces);
      const messageOpcode = this.#piecesOpcode;
      this.#pieces = [];
      this.#piecesOpcode = undefined;
      this.#handlers.message(messageOpcode, message);
    }
  }

  #finish(code: number): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#handlers.closed(code);
    }
  }
}
