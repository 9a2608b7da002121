import { FRAME_HEADER_BYTES, FRAME_TYPE, type FrameHeader, readFrameHeader } from './frame.ts';

/** Who hears what a FrameParser finds. */
export interface FrameSink {
  /** A header; of a data frame with a length, pieces of its body follow. Do not keep it. */
  frame(header: FrameHeader): void;
  /** A piece of the body of the last data frame, a view of a message; `last`: it is whole. */
  body(piece: Uint8Array, last: boolean): void;
  /** What came is no frame. Nothing more is parsed. */
  notAFrame(): void;
}

/**
 * Finds frames in messages. A message is any piece of the byte stream: hashicorp/yamux sends header
 * and body apart, others several frames at once. Bodies are handed on as they come and never
 * gathered, so that a frame's length costs no memory.
 */
export class FrameParser {
  readonly #sink: FrameSink;
  readonly #header: FrameHeader = { type: 0, flags: 0, streamId: 0, length: 0 };
  /** A header that came in pieces. */
  readonly #partial = new Uint8Array(FRAME_HEADER_BYTES);
  #partialBytes = 0;
  #bodyLeft = 0;
  #stopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Parses no more, not even the rest of the message at hand. */
  stop(): void {
    this.#stopped = true;
  }

  push(message: Uint8Array): void {
    let at = 0;
    while (at < message.length && !this.#stopped) {
      at = this.#bodyLeft > 0 ? this.#pushBody(message, at) : this.#pushHeader(message, at);
    }
  }

  #pushBody(message: Uint8Array, at: number): number {
    const end = Math.min(message.length, at + this.#bodyLeft);
    this.#bodyLeft -= end - at;
    const whole = at === 0 && end === message.length;
    this.#sink.body(whole ? message : message.subarray(at, end), this.#bodyLeft === 0);
    return end;
  }

  #pushHeader(message: Uint8Array, at: number): number {
    if (this.#partialBytes === 0 && message.length - at >= FRAME_HEADER_BYTES) {
      this.#found(message, at);
      return at + FRAME_HEADER_BYTES;
    }
    const end = Math.min(message.length, at + FRAME_HEADER_BYTES - this.#partialBytes);
    this.#partial.set(message.subarray(at, end), this.#partialBytes);
    this.#partialBytes += end - at;
    if (this.#partialBytes === FRAME_HEADER_BYTES) {
      this.#partialBytes = 0;
      this.#found(this.#partial, 0);
    }
    return end;
  }

  #found(bytes: Uint8Array, at: number): void {
    if (!readFrameHeader(bytes, at, this.#header)) {
      this.#stopped = true;
      this.#sink.notAFrame();
      return;
    }
    if (this.#header.type === FRAME_TYPE.data) {
      this.#bodyLeft = this.#header.length;
    }
    this.#sink.frame(this.#header);
  }
}
