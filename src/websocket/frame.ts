/** Frames of WebSockets as a client sends them (RFC 6455 section 5). */

export const OPCODES = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;
export type MessageOpcode = typeof OPCODES.text | typeof OPCODES.binary;

/** Close codes that a reader of frames answers with (RFC 6455 section 7.4.1). */
export const PROTOCOL_ERROR = 1002;
export const MESSAGE_TOO_BIG = 1009;

export interface WebSocketFrame {
  readonly opcode: number;
  readonly final: boolean;
  /** Often a view of what was fed. */
  readonly payload: Buffer;
}

/** Longest payload of a control frame, bytes (RFC 6455 section 5.5). */
export const CONTROL_BYTES_MAX = 125;
const MASK_BYTES = 4;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/**
 * Payloads are masked and sent in blocks of this size, which stay in the processor's cache: a whole
 * window of a yamux stream with its header, in whole words.
 */
const BLOCK_BYTES = 260 * 1024;
/** Enough room for connections that carry no bulk. */
const SMALL_BLOCK_BYTES = 4 * 1024;
/** Room before the block, for the longest head; a whole number of words. */
const HEAD_ROOM_BYTES = 16;
/** Random bytes are fetched in portions: a frame needs only four. */
const MASK_PORTION_BYTES = 4_096;

/** Writes frames of a client into one buffer, again and again. */
export class FrameEncoder {
  readonly #randomBytes: (length: number) => Uint8Array;
  #buffer = Buffer.allocUnsafeSlow(HEAD_ROOM_BYTES + SMALL_BLOCK_BYTES);
  /** The same memory, from the mask on. */
  #words = new Uint32Array(this.#buffer.buffer, HEAD_ROOM_BYTES - MASK_BYTES);
  #masks: Uint8Array = new Uint8Array(0);

  /** @param randomBytes strong: what a server is sent must not be foreseen (RFC 6455 section 10.3) */
  constructor(randomBytes: (length: number) => Uint8Array) {
    this.#randomBytes = randomBytes;
  }

  /**
   * A whole message, or a control frame, in one frame.
   * @param payload in parts, one behind the other
   * @param send gets the bytes of the frame in order; they are overwritten when it has returned
   */
  encode(opcode: number, payload: readonly Uint8Array[], send: (bytes: Uint8Array) => void): void {
    let length = 0;
    for (const part of payload) {
      length += part.length;
    }
    this.#makeRoomFor(length);
    let from = this.#writeHead(opcode, length);
    let filled = 0;
    for (const part of payload) {
      for (let at = 0; at < part.length; ) {
        if (filled === BLOCK_BYTES) {
          this.#maskBlock(filled);
          send(this.#buffer.subarray(from, HEAD_ROOM_BYTES + filled));
          from = HEAD_ROOM_BYTES; // The head has left with the first block.
          filled = 0;
        }
        const count = Math.min(part.length - at, BLOCK_BYTES - filled);
        const piece = count === part.length ? part : part.subarray(at, at + count);
        this.#buffer.set(piece, HEAD_ROOM_BYTES + filled);
        at += count;
        filled += count;
      }
    }
    this.#maskBlock(filled);
    send(this.#buffer.subarray(from, HEAD_ROOM_BYTES + filled));
  }

  #makeRoomFor(payloadBytes: number): void {
    const roomBytes = this.#buffer.length - HEAD_ROOM_BYTES;
    if (payloadBytes > roomBytes && roomBytes < BLOCK_BYTES) {
      this.#buffer = Buffer.allocUnsafeSlow(HEAD_ROOM_BYTES + BLOCK_BYTES);
      this.#words = new Uint32Array(this.#buffer.buffer, HEAD_ROOM_BYTES - MASK_BYTES);
    }
  }

  /** The head ends where the block begins. @returns where it begins */
  #writeHead(opcode: number, length: number): number {
    const lengthBytes = length < LENGTH_16 ? 0 : length < 65_536 ? 2 : 8;
    const maskAt = HEAD_ROOM_BYTES - MASK_BYTES;
    const start = maskAt - 2 - lengthBytes;
    const buffer = this.#buffer;
    buffer[start] = 0x80 | opcode;
    buffer[start + 1] =
      0x80 | (lengthBytes === 0 ? length : lengthBytes === 2 ? LENGTH_16 : LENGTH_64);
    if (lengthBytes === 2) {
      buffer.writeUInt16BE(length, start + 2);
    } else if (lengthBytes === 8) {
      buffer.writeBigUInt64BE(BigInt(length), start + 2);
    }
    if (this.#masks.length < MASK_BYTES) {
      this.#masks = this.#randomBytes(MASK_PORTION_BYTES);
    }
    buffer.set(this.#masks.subarray(0, MASK_BYTES), maskAt);
    this.#masks = this.#masks.subarray(MASK_BYTES);
    return start;
  }

  /** Masks word by word. The few bytes behind the payload that are masked too are never sent. */
  #maskBlock(length: number): void {
    const words = this.#words;
    const mask = words[0] ?? 0;
    const last = Math.ceil(length / MASK_BYTES);
    for (let at = 1; at <= last; at += 1) {
      words[at] = (words[at] ?? 0) ^ mask;
    }
  }
}
